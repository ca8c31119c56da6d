"""What every program here needs: its options, its journal, and a process that ends even if nobody ends it."""

import json
import logging
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import singleton_jobs
from singleton_jobs.events import RunSkipped

signal.alarm(int(os.environ.get("ALARM", "180")))
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")

options = SimpleNamespace(**json.loads(os.environ["OPTIONS"]))
_journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND)


def boot_time():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def log(event, at=None, **fields):
    entry = {"who": os.environ["WHO"], "pid": os.getpid(), "event": event, "at": at or boot_time(), **fields}
    os.write(_journal, (json.dumps(entry) + "\n").encode())


def log_event(event):
    """A hook: every event of the library under its own name, but for the skips, which are many."""
    if isinstance(event, RunSkipped):
        return
    fields = {name: getattr(event, name) for name in type(event).__dataclass_fields__}
    fields["error"] = str(fields["error"]) if "error" in fields else None
    if "time" in fields:
        fields["time"] = fields["time"].isoformat()
    log(type(event).__name__, **fields)


def effect(term, name="effect"):
    """Something done in the name of `term`, dated before its check: if that passes, the term held then."""
    at = boot_time()
    term.check()
    log(name, at=at, token=term.fencing_token, identity=term.identity)


def log_skip(outcome, last=[None, 0.0]):
    """What a guarded call returned, if that is a skip: at once if it differs from the one before, and each second."""
    if isinstance(outcome, singleton_jobs.Skipped) and (outcome != last[0] or boot_time() > last[1] + 1):
        log("skipped", reason=outcome.reason, holder=outcome.holder)
        last[1] = boot_time()
    last[0] = outcome


def config():
    return singleton_jobs.Config(**getattr(options, "config", {"lease_duration": 3}))


def mount():
    """Have MOUNT be the service account's folder, as a kubelet would: its real place belongs to root."""
    from singleton_jobs.locks.kubernetes import credentials

    credentials.SERVICE_ACCOUNT = Path(os.environ["MOUNT"])


def configure():
    if "MOUNT" in os.environ:
        mount()
    return singleton_jobs.configure(config=config(), hooks=[log_event])


def option(name, otherwise):
    return getattr(options, name, otherwise)
