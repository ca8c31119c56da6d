"""The beat of a Celery app.

The problem: `celery beat` must run once. With `replicas: 1` ticks are lost whenever its node goes; with two, everything
is sent twice.

Here every replica runs it, with ``--scheduler singleton``: the one that holds the lease sends, and each tick is claimed
in the lease first. The README beside this file says what to type.
"""

import os

from celery import Celery

import singleton_jobs_celery  # noqa: F401 (in workers it discards what a beat that was paused has sent too late)

app = Celery("tasks", broker=os.environ.get("CELERY_BROKER", "redis://localhost:6379/0"))
app.conf.beat_schedule = {
    "report-every-second": {"task": "tasks.report", "schedule": 1.0},
}
app.conf.singleton_jobs = {"lease": "celery-beat"}  # its default; a lease for each beat of a namespace


@app.task(bind=True)
def report(self) -> None:
    """Every message says what it is for: the tick's nominal time, and the fencing token of the beat that sent it."""
    headers = self.request.headers or {}
    print(f"report for {headers['singleton-jobs-fire']} by token {headers['singleton-jobs-token']}", flush=True)
