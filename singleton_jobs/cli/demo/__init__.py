"""`singleton-jobs demo`: three replicas of one job, two murders, one verdict."""

import os
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console

from ...errors import ConfigError
from .cluster import Cluster, find_cluster
from .director import KILLS, Director
from .runs import Verdict
from .stage import Stage, StageError
from .ticks import Ticks
from .views import make_view, verdict_table

__all__ = ["run_demo"]

LEASE = "demo"


class Unusable(click.ClickException):
    """The demo could not even begin."""

    exit_code = 2


def run_demo(seconds: int, *, kubernetes: bool, plain: bool) -> int:
    """Play the demo on standard output; the exit status: 0 only if the job ran, no tick twice, and none was missed."""
    signal.signal(signal.SIGTERM, _exit)
    console = Console(highlight=False)
    try:
        cluster = find_cluster() if kubernetes else None
        with ExitStack() as stack:
            if cluster:
                stack.enter_context(cluster.session())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="singleton-jobs-demo-")))
            console.print(_header(seconds, cluster), soft_wrap=True)
            store = cluster.url if cluster else f"sqlite://{folder.as_posix()}/leases.sqlite3"
            with Stage(folder, store, cluster.lease if cluster else LEASE, Ticks.begin()) as stage:
                view = stack.enter_context(make_view(console, plain=plain))
                director = Director(stage, view, seconds)
                verdict = director.perform()
    except ConfigError as error:
        raise Unusable(str(error)) from error
    except StageError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        console.print("\nStopped; all replicas have ended.")
        return 128 + signal.SIGINT
    _conclude(console, verdict, director.killed)
    return 0 if verdict.good else 1


def _header(seconds: int, cluster: Cluster | None) -> str:
    where = str(cluster) if cluster else "a SQLite file in a temporary folder"
    kills = " and with ".join(kill.name for kill in KILLS)
    return (
        "Three replicas tick every second. The leader claims each tick, then runs it.\n"
        f"In {seconds} seconds the leader is killed twice, with {kills}.\n"
        f"The lease: {where}."
    )


def _conclude(console: Console, verdict: Verdict, killed: list[signal.Signals]) -> None:
    console.print(verdict_table(verdict))
    mode = os.environ.get("SINGLETON_JOBS_MODE")
    if not verdict.good:
        why = f" SINGLETON_JOBS_MODE={mode} is set, so no lease was asked." if mode in ("always", "never") else ""
        console.print(f"FAILED: {_fault(verdict)}.{why}", style="red", soft_wrap=True)
        return
    times = {1: "once", 2: "twice"}.get(len(killed), "not at all, as nobody led")
    lost = f", {verdict.interrupted} interrupted" if verdict.interrupted else ""
    text = f"No tick ran twice and none was missed{lost}. The leader was killed {times}."
    console.print(text, style="green", soft_wrap=True)


def _fault(verdict: Verdict) -> str:
    if not verdict.runs:
        return "nothing ran"
    faults = ((verdict.doubled, "ran more than once"), (verdict.missed, "ran nowhere"))
    return " and ".join(f"{number} of {verdict.ticks} ticks {what}" for number, what in faults if number)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
