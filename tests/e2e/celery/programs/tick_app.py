"""A Celery worker for what beats send.

Options: broker (URL), after (seconds from a run to what follows from it), retries (how often a task is tried again).
"""

import os
import signal
import time

from celery import Celery, chain, signals
from program import log, option, options

import singleton_jobs_celery  # noqa: F401 (so it discards what comes too late)

app = Celery("tick_app", broker=options.broker)
app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)
AFTER = option("after", 5)


@app.task(bind=True, name="plain")
def plain(self, what):
    note(self, what)


@app.task(bind=True, name="brief", expires=1800)
def brief(self, what):
    note(self, what)


@app.task(bind=True, name="retrying", max_retries=3)
def retrying(self, what="retrying"):
    note(self, what)
    if self.request.retries < option("retries", 1):
        raise self.retry(countdown=AFTER)
    log("end", what=what, id=self.request.id)


@app.task(bind=True, name="failing", autoretry_for=(OSError,), default_retry_delay=AFTER, max_retries=3)
def failing(self, what):
    note(self, what)
    if not self.request.retries:
        raise OSError("not yet")


@app.task(bind=True, name="chaining")
def chaining(self, what):
    note(self, what)
    chain(plain.si("first of a chain"), plain.si("second of a chain").set(countdown=AFTER)).apply_async()


@app.task(bind=True, name="copying")
def copying(self, what):
    note(self, what)
    plain.apply_async(("with copied headers",), headers=self.request.headers, countdown=AFTER)


@app.task(bind=True, name="replaced")
def replaced(self, what):
    note(self, what)
    raise self.replace(plain.si("a replacement").set(headers=self.request.headers, countdown=AFTER))


@app.task(bind=True, name="dying", acks_late=True, reject_on_worker_lost=True)
def dying(self, what):
    note(self, what)
    if not self.request.delivery_info["redelivered"]:
        time.sleep(AFTER)
        os.kill(os.getpid(), signal.SIGKILL)


def note(task, what):
    log("ran", what=what, id=task.request.id, retries=task.request.retries)


@signals.task_revoked.connect
def on_revoked(request=None, expired=None, **_):
    log("discarded", what=request.args[0], expired=expired)


@signals.worker_ready.connect
def on_ready(**_):
    log("ready")
