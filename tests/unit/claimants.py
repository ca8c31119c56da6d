"""A leader at its desk that claims fires."""

import json

from singleton_jobs.decisions.ledger import Claim
from unit.harness import acknowledged, follower, moment, stored, writes


def claim(made, fire=0.0, now=0.5, *, job="app:a", nonce="n", since=None):
    """A claim of the fire at second ``fire``, added at ``now``."""
    one = Claim(job, moment(fire), nonce, None if since is None else moment(since))
    made.claims.add(one, now)
    return one


def ledger(**marks):
    """``a=-5.0``: job app:a was claimed for five seconds ago by somebody."""
    jobs = {f"app:{job}": [moment(fire).isoformat(), "x", "d"] for job, fire in marks.items()}
    return json.dumps({"v": 1, "jobs": jobs})


def leader_of(text):
    """A leader, acquired at second 0, of a lease that carries ``text``."""
    made = follower(stored("", ledger=text))
    made.wrote(acknowledged(writes(made, 0.0), 2), sent_at=0.0, now=0.0)
    assert made.hold
    return made


def does(made, now, version):
    """A write, acknowledged at once, and the decision after it."""
    write = writes(made, now)
    made.wrote(acknowledged(write, version), sent_at=now, now=now)
    made.decide(now, moment(now).timestamp())
    return write
