"""A Celery app whose beat has the entries that OPTIONS name; each entry's task has its name.

Options: broker (URL), entries (seconds, or the fields of a crontab, by name), many (so many more), every (their seconds), settings (``app.conf.singleton_jobs``),
config (of the replica), conf (more of the app's), inner (the scheduler that is guarded), trigger (a file: what it says
is done to this process in the midst of the next message's sending: the name of a signal, or a number of seconds to
hang).
"""

import os
import signal
import time
from pathlib import Path

import program
from celery import Celery, signals
from celery.schedules import crontab
from kombu import Producer
from program import configure, log, option, options

replica = configure()
app = Celery("beat_app", broker=options.broker)
if os.environ.get("DJANGO_SETTINGS_MODULE"):
    app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    beat_schedule={
        name: {"task": name, "schedule": crontab(**when) if isinstance(when, dict) else when}
        for name, when in (
            option("entries", {})
            | {f"a-report-with-a-usual-name-{n}": option("every", 2.0) for n in range(option("many", 0))}
        ).items()
    },
    result_expires=None,
    redbeat_redis_url=options.broker,
    redbeat_redis_options={},
    broker_connection_retry_on_startup=True,
    broker_transport_options={"socket_timeout": 2, "socket_connect_timeout": 2},
    **option("conf", {}),
)
if option("inner", None):
    app.conf.beat_scheduler = options.inner
if option("settings", None) is not None:
    app.conf.singleton_jobs = options.settings


def publish(self, body, headers=None, **options):
    if headers and "task" in headers:
        on_publish(headers)
    return published(self, body, headers=headers, **options)


published, Producer.publish = Producer.publish, publish  # past every check, right before the broker is told


def on_publish(headers):
    trigger = Path(option("trigger", "/nonexistent"))
    try:
        what = trigger.read_text()
        trigger.unlink()
    except FileNotFoundError:
        return
    log("midst", entry=headers["task"], fire=headers.get("singleton-jobs-fire"), what=what)
    if what.isdigit():
        time.sleep(int(what))
    else:
        os.kill(os.getpid(), signal.Signals[what])


@signals.after_task_publish.connect
def on_published(headers=None, **_):
    if not option("quiet", False):
        log("published", entry=headers["task"], fire=headers.get("singleton-jobs-fire"), id=headers["id"])


@signals.beat_init.connect
def on_init(**_):
    program._journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND)  # a worker closes it in its beat
    log("beat")


@signals.worker_ready.connect
def on_ready(**_):
    log("worker")
