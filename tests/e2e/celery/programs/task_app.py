"""A Celery worker whose tasks run under a lease. Options: broker (URL), config, visibility (seconds), lasts (seconds)."""

import time

from celery import Celery, signals
from program import configure, log, option, options

from singleton_jobs import current_term, exclusive

replica = configure()
app = Celery("task_app", broker=options.broker)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": option("visibility", 600),
        "unacked_restore_interval": 1,  # what others have left is looked for every second, and each time
        "unacked_restore_throttle": 1,
        "polling_interval": 5,  # and by gevent and eventlet, too: kombu looks when a poll ends before Redis's answer
    },
)


@app.task(bind=True, name="work", max_retries=None)
@exclusive(lease="work", on_busy="retry", countdown=0.3)
def work(self, number):
    term = current_term()
    log("begin", number=number, identity=term.identity, token=term.fencing_token, redelivered=redelivered(self))
    time.sleep(option("lasts", 0.2))
    term.check()
    log("end", number=number)


@app.task(bind=True, name="once")
@exclusive(lease="work")
def once(self, number):
    """Drops a message whose lease is busy, but never one that a dead worker has left."""
    log("begin", number=number, identity=current_term().identity, redelivered=redelivered(self))
    if not redelivered(self):
        time.sleep(60)
    log("end", number=number)


@app.task(bind=True, name="flaky", autoretry_for=(OSError,), max_retries=5, default_retry_delay=0.1)
@exclusive(lease="flaky", on_busy="raise")
def flaky(self, number):
    log("begin", number=number, identity=current_term().identity, redelivered=redelivered(self))
    if self.request.retries < 2:
        raise OSError("not yet")
    log("end", number=number)


@app.task(bind=True, name="sync", max_retries=None)
@exclusive(lease="sync", key="tenant", on_busy="retry", countdown=0.3)
def sync(self, number, tenant):
    term = current_term()
    log("begin", number=number, tenant=tenant, lease=term.lease, identity=term.identity, redelivered=redelivered(self))
    time.sleep(option("lasts", 0.2))
    term.check()
    log("end", number=number)


@app.task(bind=True, name="sync-once")
@exclusive(lease="sync", key="tenant")
def sync_once(self, number, tenant):
    log("begin", number=number, tenant=tenant, identity=current_term().identity, redelivered=redelivered(self))
    if not redelivered(self):
        time.sleep(60)
    log("end", number=number)


def redelivered(task):
    return bool(task.request.delivery_info.get("redelivered"))


@signals.worker_ready.connect
def on_ready(**_):
    log("ready")
