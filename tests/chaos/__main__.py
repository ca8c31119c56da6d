"""`python -m chaos --minutes 3`: real processes, a real API server, and all that can go wrong; prints the scoreboard.

Exits with 1 if a promise broke or a row misses its target; with --promises not for a row that says how fast, which is
shown all the same. With --peer, the official client's or client-go's election goes through the same faults, for
comparison.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from controlplane.binary import ControlPlaneMissing
from scoreboard import Figure, record, show

from chaos import log, scenarios
from chaos.beats import BeatsVerdict, beats_in_trouble
from chaos.checker import Verdict, judge
from chaos.crons import KINDS, CronVerdict, judge_crons
from chaos.figures import complaints, figures
from chaos.namespaces import unavailable
from chaos.pace import at_pace, measure
from chaos.plan import scenes
from chaos.site import fake_clock
from chaos.sink import Sink
from chaos.stage import Stage, stage
from chaos.storm import LAST, PATIENCE, SETTLE, Storm, side_blows
from chaos.timeline import draw

ROOT = Path(__file__).resolve().parents[2]
CRONS = 3  # schedulers of each kind
SHOWN = 20  # complaints about a peer, at most
GAPS = (3, 4)  # rows that apply to any election
SHORTEST = 30.0  # seconds of a storm
FULL = 20.0  # minutes of a run in which the scenarios have all their cases
FIXED, PER_SHARE = 30.0, 240.0  # seconds that the scenarios take: at least, and more with their share


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="how long, all in all")
    parser.add_argument("--seed", type=int, help="of the faults; a new one each time if it is not given")
    parser.add_argument("--promises", action="store_true", help="fail for what is promised, not for a slow machine")
    parser.add_argument("--peer", choices=["python", "client-go"], help="judge this instead")
    parser.add_argument("--record", type=Path, metavar="PAGE", help="put the scoreboard into this page")
    parser.add_argument("--timeline", type=Path, metavar="SVG", help="draw a failover")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the log of all that happened")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    try:
        with stage() as made:
            return _peer(options, seed, made) if options.peer else _ours(options, seed, made)
    except ControlPlaneMissing as error:
        print(error, file=sys.stderr)
        return 2


def _ours(options: argparse.Namespace, seed: int, made: Stage) -> int:
    began = time.monotonic()
    share = min(1.0, options.minutes / FULL)
    path = options.log or made.directory / "log.jsonl"
    path.unlink(missing_ok=True)
    pace = measure(made)
    with Sink(made.directory / "sink", log.Log(path, "sink")) as sink, beats_in_trouble(made, seed) as beats:
        seconds = max(SHORTEST, (60 * options.minutes - FIXED - share * PER_SHARE) / pace)
        _storm(made, path, seed, seconds, env={"SINK": str(sink.path)}, others=CRONS, pace=pace)
    written = log.read(path)
    lines = at_pace(written, pace)
    verdict, crons = judge(lines), [judge_crons(written, pace, kind) for kind in KINDS]
    rows = sorted([*figures(verdict), *scenarios.measure(made, share, measure(made))], key=lambda figure: figure.row)
    slowly = "" if pace == 1 else f"; each second of the storm took {pace} s"
    title = f"Chaos on a real API server, seed {seed}: {verdict.failovers:,} failovers{slowly}"
    good = show(rows, title, timed=not options.promises)
    for sentence in (*complaints(verdict), *crons, beats or "no Celery beats"):
        print(sentence)
    print(f"{time.monotonic() - began:.0f} s")
    if options.timeline:
        options.timeline.write_text(draw(lines))
    if options.record:
        _record(options, seed, rows, verdict, crons, beats)
    return (
        0 if good and not complaints(verdict) and all(each.ok for each in crons) and (beats is None or beats.ok) else 1
    )


def _record(
    options: argparse.Namespace,
    seed: int,
    rows: list[Figure],
    verdict: Verdict,
    crons: list[CronVerdict],
    beats: BeatsVerdict | None,
) -> None:
    heading = (
        f"`make chaos MINUTES={options.minutes:g} SEED={seed}`: {verdict.failovers:,} failovers of 10 leases among 5 replicas. "
        f"{'. '.join(map(str, crons))}. {beats or 'No Celery beats'}."
    )
    record(options.record, "chaos", rows, heading)


def _peer(options: argparse.Namespace, seed: int, made: Stage) -> int:
    sys.path.append(str(ROOT))
    from benchmarks.peers import PeerMissing, command

    try:
        program = command(options.peer)
    except PeerMissing as error:
        print(error, file=sys.stderr)
        return 2
    path = options.log or made.directory / "log.jsonl"
    path.unlink(missing_ok=True)
    _storm(made, path, seed, max(40.0, 60 * options.minutes), command=program)
    lines = log.read(path)
    verdict = judge(lines)
    overlaps = Figure(1, f"{len(verdict.overlaps):,} pieces of work", verdict.starts, not verdict.overlaps)
    rows = [overlaps, *(figure for figure in figures(verdict) if figure.row in GAPS)]
    show(rows, f"The same chaos for {options.peer}'s leader election, seed {seed}; cases of row 1 are pieces of work")
    for sentence in complaints(verdict)[:SHOWN]:
        print(sentence)
    if options.record:
        command_line = f"make chaos PEER={options.peer} MINUTES={options.minutes:g} SEED={seed}"
        heading = f"`{command_line}`; cases of row 1 are pieces of work, of 30 ms each."
        record(options.record, options.peer, rows, heading, only=(1, *GAPS))
    return 0  # what a peer does is a finding, and no failure of ours


def _storm(
    made: Stage,
    path: Path,
    seed: int,
    seconds: float,
    *,
    command: list[str] | None = None,
    env: dict[str, str] | None = None,
    others: int = 0,
    pace: int = 1,
) -> None:
    """One storm of so many seconds, of which each takes ``pace``."""
    no_namespaces = unavailable() if command is None else "the peers are not told of them"
    clock = fake_clock() is not None
    if no_namespaces:
        print(f"no network namespaces in this storm: {no_namespaces}")
    if not clock:
        print("no faked clocks in this storm: pip install libfaketime")
    until = seconds - LAST
    planned = list(scenes(seed, until=until, settle=SETTLE, namespaces=not no_namespaces, clocks=clock))
    side = side_blows(seed, until=until, settle=SETTLE, count=others)
    with ExitStack() as exits:
        storm = Storm(made, path, command, env, namespaces=not no_namespaces, others=others, pace=pace)
        exits.callback(storm.close)
        storm.run(planned, side, seconds)
        time.sleep(PATIENCE / 4 * pace)  # released, noted, ended


if __name__ == "__main__":
    sys.exit(main())
