"""What renewing costs: CPU, memory, requests and threads of a process in its steady state."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.peers import PeerMissing, command
from benchmarks.stage import Program, Stage, until
from benchmarks.table import Row

LEASES = 50
MANY = 1000
PERIOD = 2.0  # retry period of all sides, at 15/10/2
SETTLE = 2.0  # seconds between the last acquisition and the window
GO = "client-go"
MAX_CPU, MAX_CPU_ONE, MAX_CPU_MANY = 1.0, 1.5, 0.58  # beside client-go's at 50, 1 and 50 leases
MAX_BESIDE_PYTHON = {"cpu": 0.30, "memory": 0.70}

Windows = dict[str, "list[Steady]"]  # by program


@dataclass(frozen=True)
class Steady:
    """A window of a process that holds its leases."""

    periods: float
    cpu_ms: float  # per PUT
    busy: float  # of one core
    puts: int
    reads: int
    rss_mib: float
    threads: list[str]
    tasks: int
    lost: list[list[str]]


def steady(
    stage: Stage, program: str, leases: int, periods: int, windows: int = 1, *, in_cluster: bool = True
) -> list[Steady]:
    """Let one process of ``program`` hold ``leases``, and look at it in ``windows`` of some retry periods each."""
    with stage.programs(program, leases, in_cluster=in_cluster) as start:
        holder = start()
        until(lambda: holder.ask("held") == leases, f"{program} holds {leases} leases")
        time.sleep(SETTLE)
        first = stage.counts()
        until(lambda: stage.counts() != first, "a renewal", pause=0.05)
        time.sleep(PERIOD / 2)  # between two renewals, or the edges of the window would cut one
        return [_window(stage, holder, periods) for _ in range(windows)]


def _window(stage: Stage, holder: Program, periods: int) -> Steady:
    before, since = stage.counts(), holder.ask("facts")
    time.sleep(periods * PERIOD)
    after, now = stage.counts(), holder.ask("facts")
    spent, lasted = now["cpu"] - since["cpu"], now["at"] - since["at"]
    puts = after["PUT"] - before["PUT"]
    return Steady(
        periods=lasted / PERIOD,
        cpu_ms=spent / puts * 1000,
        busy=spent / lasted,
        puts=puts,
        reads=sum(after.get(verb, 0) - before.get(verb, 0) for verb in ("GET", "LIST", "WATCH")),
        rss_mib=now["rss_mib"],
        threads=now["threads"],
        tasks=now["tasks"],
        lost=holder.ask("lost"),
    )


def _windows(stage: Stage) -> int:
    return 3 if stage.quick else 5


def _by_turns(stage: Stage, *, in_cluster: bool = True) -> Windows:
    """Ours and client-go's, each process after the other and in both orders; ours alone where there is no client-go."""

    def measure() -> Windows:
        found: Windows = {"ours": [], GO: []}
        order = list(found)
        try:
            command(GO)
        except PeerMissing:
            order.remove(GO)
        for _ in range(_windows(stage)):
            for program in order:
                found[program] += steady(stage, program, LEASES, 3, in_cluster=in_cluster)
            order.reverse()
        return found

    result: Windows = stage.once(f"by turns {in_cluster}", measure)
    return result


def _fifty(stage: Stage, program: str) -> list[Steady]:
    if program == "ours":
        return _by_turns(stage)[program]
    result: list[Steady] = stage.once("python", lambda: steady(stage, program, LEASES, 3 * _windows(stage)))
    return result


def _thousand(stage: Stage) -> list[Steady]:
    result: list[Steady] = stage.once(
        "thousand", lambda: steady(stage, "ours", MANY, 2 if stage.quick else 6, _windows(stage))
    )
    return result


def _cpu_ms(windows: list[Steady]) -> float:
    return median(window.cpu_ms for window in windows)


def _go_cpu_ms(stage: Stage, *, in_cluster: bool = True) -> float:
    command(GO)  # or says that it is missing
    return _cpu_ms(_by_turns(stage, in_cluster=in_cluster)[GO])


def cpu(stage: Stage) -> Row:
    """CPU per renewal, beside both peers."""
    go, python = _go_cpu_ms(stage), _cpu_ms(_fifty(stage, "peer"))
    windows = _fifty(stage, "ours")
    ours, most = _cpu_ms(windows), MAX_BESIDE_PYTHON["cpu"]
    return Row(
        name="cpu",
        what=f"CPU per renewal, one process with {LEASES} leases at 15/10/2, in a pod",
        ours=f"{ours:.3f} ms",
        peer=f"client-go {go:.3f} ms, Python's {python:.3f} ms",
        ratio=ours / go,
        target=f"ratio ≤ {MAX_CPU:.2f}, to Python's ≤ {most:.2f}",
        ok=ours <= MAX_CPU * go and ours <= most * python and not windows[-1].lost,
    )


def cpu_kubeconfig(stage: Stage) -> Row:
    """The same by a kubeconfig's client certificate."""
    go, windows = _go_cpu_ms(stage, in_cluster=False), _by_turns(stage, in_cluster=False)["ours"]
    ours = _cpu_ms(windows)
    return Row(
        name="cpu-kubeconfig",
        what=f"CPU per renewal, one process with {LEASES} leases at 15/10/2, with a plain kubeconfig",
        ours=f"{ours:.3f} ms",
        peer=f"client-go {go:.3f} ms",
        ratio=ours / go,
        target=f"ratio ≤ {MAX_CPU:.2f}",
        ok=ours <= MAX_CPU * go and not windows[-1].lost,
    )


def cpu_one(stage: Stage) -> Row:
    """CPU of a process with one lease; both at a time, since they work for a thousandth of it."""
    periods = 10
    spent: dict[str, list[float]] = {"ours": [], GO: []}
    with ExitStack() as running:
        holders = {program: running.enter_context(stage.programs(program, 1))() for program in spent}
        for program, holder in holders.items():
            until(lambda asked=holder: asked.ask("held") == 1, f"{program} holds its lease")
        time.sleep(SETTLE)
        for _ in range(_windows(stage)):
            before = {program: holder.ask("facts")["cpu"] for program, holder in holders.items()}
            time.sleep(periods * PERIOD)
            for program, holder in holders.items():
                spent[program].append((holder.ask("facts")["cpu"] - before[program]) / periods)
    ours, go = (1000 * median(seconds) for seconds in spent.values())
    return Row(
        name="cpu-one",
        what="CPU per retry period, one process with 1 lease at 15/10/2, in a pod",
        ours=f"{ours:.3f} ms",
        peer=f"client-go {go:.3f} ms",
        ratio=ours / go,
        target=f"ratio ≤ {MAX_CPU_ONE:.2f}",
        ok=ours <= MAX_CPU_ONE * go,
    )


def memory(stage: Stage) -> Row:
    """Memory of the same processes."""
    ours, python = (median(window.rss_mib for window in _fifty(stage, program)) for program in ("ours", "peer"))
    ratio, most = ours / python, MAX_BESIDE_PYTHON["memory"]
    return Row(
        name="memory",
        what=f"resident memory of a process with {LEASES} leases, in a pod",
        ours=f"{ours:.1f} MiB",
        peer=f"Python's {python:.1f} MiB",
        ratio=ratio,
        target=f"ratio ≤ {most:.2f}",
        ok=ratio <= most,
    )


def requests(stage: Stage) -> Row:
    """Requests of a steady leader."""
    ours, python = _fifty(stage, "ours"), _fifty(stage, "peer")
    (puts, reads), peer = _per_period(ours), _per_period(python)
    return Row(
        name="requests",
        what=f"PUTs and reads per lease and retry period, steady leader, {sum(window.periods for window in ours):.0f} periods",
        ours=f"{puts:.2f} PUT, {reads:.2f} reads",
        peer=f"Python's {peer[0]:.2f} PUT, {peer[1]:.2f} reads",
        target="≤ 1 PUT, 0 reads",
        ok=puts <= 1.01 and reads == 0 and not any(window.lost for window in ours),
    )


def _per_period(windows: list[Steady]) -> tuple[float, float]:
    each = LEASES * sum(round(window.periods) for window in windows)
    return sum(window.puts for window in windows) / each, sum(window.reads for window in windows) / each


def threads(stage: Stage) -> Row:
    """Threads do not grow with leases."""
    one, many, python = steady(stage, "ours", 1, 1)[-1], _thousand(stage)[-1], _fifty(stage, "peer")[-1]
    return Row(
        name="threads",
        what=f"threads of a process (of which Python knows) with 1 and with {MANY} leases",
        ours=f"{one.tasks} ({len(one.threads)}) and {many.tasks} ({len(many.threads)})",
        peer=f"Python's {python.tasks} ({len(python.threads)}) with {LEASES}",
        target="the same number",
        ok=one.threads == many.threads and one.tasks == many.tasks,
    )


def thousand(stage: Stage) -> Row:
    """Many leases on one thread."""
    windows, go = _thousand(stage), _go_cpu_ms(stage)
    last, ours = windows[-1], _cpu_ms(windows)
    periods = sum(window.periods for window in windows)
    due = sum(window.puts for window in windows) / (MANY * periods)
    return Row(
        name="thousand",
        what=f"CPU per renewal, one process with {MANY} leases at 15/10/2, in a pod; terms lost in {periods * PERIOD:.0f} s",
        ours=f"{ours:.3f} ms ({median(window.busy for window in windows):.0%} of a core, {last.rss_mib:.0f} MiB, "
        f"{due:.0%} of the renewals due), {len(last.lost)} lost",
        peer=f"client-go {go:.3f} ms with {LEASES}",
        ratio=ours / go,
        target=f"ratio ≤ {MAX_CPU_MANY:.2f}, 0 lost",
        ok=ours <= MAX_CPU_MANY * go and not last.lost,
    )
