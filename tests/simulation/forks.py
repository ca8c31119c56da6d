"""Forks in the midst of a run: the real hooks run in a real child, which then lives on in a copy of the simulation."""

from __future__ import annotations

import os
from random import Random

from singleton_jobs import Config, LeadershipLost
from singleton_jobs.term import Term

from simulation.cluster import simulated
from simulation.referee import Broken
from simulation.storm import Run, Setting

QUICK = Config(lease_duration=3)
FORKS = 4
APART = 2.0  # seconds from one fork to the next


def fork_drill(seed: int) -> tuple[int, list[str]]:
    """How many children were forked, and what was wrong with them."""
    rng, wrong = Random(f"forks {seed}"), []
    with simulated():
        run = Run(seed, Setting(3, (QUICK,), leases=2, mutex=True), [])
        try:
            run.go(3.0, stormy=False)
            for _ in range(FORKS):
                run.cluster.run(run.cluster.time + rng.uniform(0, 2 * APART))
                what = _in_a_child(run)
                if what:
                    wrong.append(f"a fork of seed {seed}: {what}")
        finally:
            run.cluster.close()
    return FORKS, wrong


def _in_a_child(run: Run) -> str:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = "the child did not come to its end"
        try:
            status = _child(run)
        except BaseException as error:
            status = repr(error)
        finally:
            os.write(writing, status.encode()[:4000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        status = pipe.read().decode()
    os.waitpid(pid, 0)
    return status


def _child(run: Run) -> str:
    """Here the parent's loops are never stepped again, as if its threads had stayed with it."""
    cluster, forked_at = run.cluster, run.cluster.time
    inherited: list[Term] = [term for (process, _), term in cluster.referee.terms() if process.alive]
    for term in inherited:
        if term.is_valid or not _refuses(term):
            return f"{term} is valid in the child"
    before = {process.identity for process in cluster.processes}
    for process in cluster.processes:
        process.go_on_as_child()
        if process.identity in before:
            return f"the child is called {process.identity}, as its parent"
        for lease in cluster.leases:
            process.lead(lease, {})
    cluster.referee.forget_terms()
    try:
        cluster.run(forked_at + (QUICK.lease_duration - 2 * QUICK.retry_period) * 0.94)
        for lease in cluster.leases:
            if leader := cluster.referee.leader_of(lease):
                return f"{leader} leads {lease} while its parent's hold lasts"
        cluster.run(forked_at + 2 * QUICK.lease_duration)
        for lease in cluster.leases:
            if not cluster.referee.leader_of(lease):
                return f"no child leads {lease} after its parent's hold"
    except Broken as error:
        return str(error)
    return ""


def _refuses(term: Term) -> bool:
    try:
        term.check()
    except LeadershipLost:
        return True
    return False
