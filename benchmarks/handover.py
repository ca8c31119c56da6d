"""What a watch is worth: how soon another replica works, what following costs, and with how many leases."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from chaos.log import Log, read
from chaos.sink import Sink
from controlplane.pod import Pod, lease_role

from benchmarks.peers import command
from benchmarks.programs.protocol import boot_time
from benchmarks.stage import Stage, clean_environment, until
from benchmarks.table import Row

REPLICA = Path(__file__).resolve().parents[1] / "tests" / "chaos" / "programs" / "replica.py"
REPLICAS = 3
LEASE = "bench"
PERIOD = 2.0  # retry period of both sides, at 15/10/2
FOLLOWED, MANY = 50, 1000
WINDOW = 60.0  # seconds
TIMING = {"lease_duration": 15, "renew_deadline": 10, "retry_period": PERIOD}
MAX_TYPICAL, MAX_REQUESTS, MAX_CPU, MAX_BUSY, MAX_MEMORY, MAX_ALL = 0.06, 8, 0.5, 0.10, 1.0, 3.0


def sigterm(stage: Stage) -> Row:
    """From SIGTERM of the leader to the first piece of another replica's work, beside client-go."""
    rounds = 3 if stage.quick else 15
    ours = _gaps(stage, [sys.executable, str(REPLICA)], rounds)
    peer = _gaps(stage, command("client-go"), rounds)
    typical = median(ours)
    return Row(
        name="sigterm",
        what=f"SIGTERM of the leader to another's first guarded call, {REPLICAS} replicas at 15/10/2, {len(ours)} samples",
        ours=f"p50 {typical * 1000:.0f} ms, p99 {quantiles(ours, n=100)[-1] * 1000:.0f} ms",
        peer=f"p50 {median(peer):.2f} s, p99 {quantiles(peer, n=100)[-1]:.2f} s",
        ratio=typical / median(peer),
        target=f"p50 ≤ {MAX_TYPICAL * 1000:.0f} ms",
        ok=typical <= MAX_TYPICAL,
    )


def reads(stage: Stage) -> Row:
    """Requests of followers in calm."""
    with stage.programs("ours", 1) as start:
        leader = start()
        until(lambda: leader.ask("held") == 1, "the first replica leads")
        followers = [start() for _ in range(REPLICAS - 1)]
        until(lambda: all(each.ask("seen") == 1 for each in followers), "the others follow")
        time.sleep(PERIOD)
        before = stage.counts()
        time.sleep(WINDOW)
        after = stage.counts()
    asked = after.get("GET", 0) - before.get("GET", 0)
    return Row(
        name="reads",
        what=f"GETs of {REPLICAS - 1} followers of one lease in {WINDOW:.0f} s",
        ours=str(asked),
        target=f"≤ {MAX_REQUESTS}",
        ok=asked <= MAX_REQUESTS,
    )


def following(stage: Stage) -> Row:
    """CPU of a follower that is told, beside one whose Role lets it only ask."""
    told, asking = (_followed(stage, FOLLOWED, watching=watching)["cpu_ms"] for watching in (True, False))
    ratio = told / asking
    return Row(
        name="following",
        what=f"CPU of a follower of {FOLLOWED} leases, per lease and retry period",
        ours=f"{told:.3f} ms with a watch, {asking:.3f} ms polling",
        ratio=ratio,
        target=f"≤ {MAX_CPU} × polling's",
        ok=ratio <= MAX_CPU,
    )


def watch_memory(stage: Stage) -> Row:
    """Memory of a follower that is told, beside one that asks."""
    told, asking = (_followed(stage, 1, watching=watching)["rss_mib"] for watching in (True, False))
    return Row(
        name="watch-memory",
        what="resident memory of a follower of one lease",
        ours=f"{told:.1f} MiB with a watch, {asking:.1f} MiB polling",
        target=f"≤ +{MAX_MEMORY:.0f} MiB",
        ok=told - asking <= MAX_MEMORY,
    )


def thousand_followed(stage: Stage) -> Row:
    """Many leases followed by one process, which takes them all when their holder ends in good order."""
    found = _followed(stage, MANY, watching=True, ends=True)
    return Row(
        name="thousand-followed",
        what=f"one process that follows {MANY} leases and takes them all when their holder ends",
        ours=f"{found['busy']:.0%} of a core; {found['took']:.1f} s",
        target=f"≤ {MAX_BUSY:.0%} of a core; ≤ {MAX_ALL:.0f} s",
        ok=found["busy"] <= MAX_BUSY and found["took"] <= MAX_ALL,
    )


def _followed(stage: Stage, leases: int, *, watching: bool, ends: bool = False) -> Mapping[str, float]:
    """What following costs a process, and how long it takes to take all leases over."""
    verbs = ["get", "create", "update", *(["list", "watch"] if watching else [])]
    with stage.programs("ours", leases, roles=[lease_role(verbs=verbs)]) as start:
        leader = start()
        until(lambda: leader.ask("held") == leases, "the first replica leads", patience=120)
        follower = start()
        until(lambda: follower.ask("seen") == leases, "the other follows", patience=120)
        time.sleep(2 * PERIOD)
        since = follower.ask("facts")
        time.sleep(WINDOW / 2)
        now = follower.ask("facts")
        spent, lasted = now["cpu"] - since["cpu"], now["at"] - since["at"]
        found = {
            "cpu_ms": spent * 1000 / leases / (lasted / PERIOD),
            "busy": spent / lasted,
            "rss_mib": now["rss_mib"],
            "took": 0.0,
        }
        if ends:
            ended_at = leader.ask("leave")
            until(lambda: follower.ask("held") == leases, "all are led again", pause=0.05)
            found["took"] = max(at for _, at in follower.ask("started")) - ended_at
    return found


def _gaps(stage: Stage, program: list[str], rounds: int) -> list[float]:
    """From each SIGTERM to the next start of work elsewhere."""
    gaps: list[float] = []
    with _team(stage, program, [LEASE]) as (path, start):
        team = [start()]
        until(lambda: bool(_starts(path)), "the first replica leads")
        team += [start() for _ in range(REPLICAS - 1)]
        for _ in range(rounds):
            time.sleep(3 * PERIOD)  # until who was started last has looked, too
            _, leading = _starts(path)[-1]
            leader = next(each for each in team if each.pid == leading)
            since = boot_time()
            leader.send_signal(signal.SIGTERM)
            leader.wait()

            def others(since: float = since, leader: int = leader.pid) -> list[float]:
                return [at for at, pid in _starts(path) if at > since and pid != leader]

            until(lambda: bool(others()), "another leads", pause=0.05)
            gaps.append(others()[0] - since)
            team = [*(each for each in team if each is not leader), start()]
    return gaps


def _starts(path: Path) -> list[tuple[float, int]]:
    """When work was begun, and in which process."""
    return [(line["at"], line["pid"]) for line in read(path) if line["event"] == "start"]


@contextmanager
def _team(
    stage: Stage, program: list[str], leases: list[str]
) -> Iterator[tuple[Path, Callable[[], subprocess.Popen[bytes]]]]:
    """A log, and what starts one more replica; all end with the block."""
    namespace = f"bench-{time.monotonic_ns()}"
    stage.admin.create_namespace(namespace)
    folder = stage.directory / namespace
    folder.mkdir()
    path = folder / "log"
    path.touch()
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        who = f"pod-{len(running)}"
        pod = Pod.create(stage.admin, namespace, who, directory=folder / who)
        options = json.dumps({"leases": leases, "pace": 1, **TIMING})
        env = clean_environment() | pod.env | {"LOG": str(path), "WHO": who, "OPTIONS": options, "SINK": str(sink.path)}
        with (folder / who / "output").open("wb") as output:
            running.append(subprocess.Popen(program, env=env, stdout=output, stderr=output, cwd=folder))
        return running[-1]

    with Sink(folder / "sink", Log(folder / "sink.log", "sink")) as sink:
        try:
            yield path, start
        finally:
            for each in running:
                each.kill()
                each.wait()
