"""A program with a scheduler, guarded, which obeys commands that are appended to a file.

Options: control (that file), lease, config, scheduler (background | blocking | asyncio), through (guard | jobstore |
executor), spread (whether the guard spreads), interrupted and max_attempts (for what is guarded), drain (seconds that
SIGTERM leaves to running jobs), store (a database's URL; none: memory), connect (arguments of the database driver),
executor (threadpool | processpool), jobs (list of: id, trigger (an alias, or a class of own_triggers), at (its
arguments), made (further ones, in seconds from its making), function, kwargs, grace, and more for add_job), late (add
the jobs only after the guard), paused (start it so).
Environment: SKEW (seconds).
"""

import skew  # isort: skip  # noqa: F401

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

from apscheduler import events
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
import own_triggers
from program import boot_time, configure, log, option, options

from singleton_jobs import running
from singleton_jobs.renewal.fire_claims import FireClaims
from singleton_jobs_apscheduler import SingletonExecutor, SingletonJobStore, guard

EVENTS = {
    events.EVENT_JOB_EXECUTED: "job executed",
    events.EVENT_JOB_ERROR: "job failed",
    events.EVENT_JOB_MISSED: "job missed",
    events.EVENT_JOB_MAX_INSTANCES: "job overlapped",
}
KINDS = {"background": BackgroundScheduler, "blocking": BlockingScheduler, "asyncio": AsyncIOScheduler}

logging.getLogger("apscheduler").setLevel(logging.WARNING)  # a line for each run is in the journal already
replica = configure()
kind = option("scheduler", "background")
armed = {}  # what to do to this process at a claim, by the job's id


def on_event(event):
    times = getattr(event, "scheduled_run_times", None) or [event.scheduled_run_time]
    for nominal in times:
        error = getattr(event, "exception", None)
        log(EVENTS[event.code], job=event.job_id, nominal=nominal.timestamp(), error=error and repr(error))


def build():
    through, url = option("through", "guard"), option("store", None)
    database = {"url": url, "engine_options": {"connect_args": option("connect", {})}} if url else {}
    plugin = "sqlalchemy" if url else "memory"
    pool = option("executor", None)
    guarded = {"lease": options.lease}
    again = {name: option(name, None) for name in ("interrupted", "max_attempts") if option(name, None)}
    scheduler = KINDS[kind]()
    if through == "jobstore":
        scheduler.add_jobstore(SingletonJobStore(plugin, **guarded, **again, **database))
    else:
        scheduler.add_jobstore(plugin, **database)
    if through == "executor":
        scheduler.add_executor(SingletonExecutor(pool, **guarded) if pool else SingletonExecutor(**guarded))
    elif pool:
        scheduler.add_executor(pool)
    scheduler.add_listener(on_event, sum(EVENTS))
    if not option("late", False):
        add_all(scheduler)
    if through == "guard":
        guard(scheduler, spread=option("spread", False), **guarded, **again)
    if option("late", False):
        add_all(scheduler)
    return scheduler


def add_all(scheduler):
    for spec in option("jobs", []):
        add_job(scheduler, **spec)


def add_job(scheduler, id, trigger, at=None, made=None, function=None, kwargs=None, **more):
    bounds = {name: datetime.now(UTC) + timedelta(seconds=seconds) for name, seconds in (made or {}).items()}
    if "grace" in more:
        more["misfire_grace_time"] = more.pop("grace")
    if hasattr(own_triggers, trigger):
        trigger, at = getattr(own_triggers, trigger)(timezone=UTC, **at), None
    scheduler.add_job(
        function or ("work:run_async" if kind == "asyncio" else "work:run"),
        trigger,
        id=id,
        kwargs={"job": id, **(kwargs or {})},
        **{"replace_existing": True, **more},
        **(at or {}),
        **bounds,
    )


def get_jobs(scheduler):
    return {job.id: job.next_run_time and job.next_run_time.timestamp() for job in scheduler.get_jobs()}


def run_now(scheduler, id):
    scheduler.modify_job(id, next_run_time=datetime.now(UTC))


def status(scheduler):
    thread = getattr(scheduler, "_thread", None)
    return {"state": scheduler.state, "alive": thread is None or thread.is_alive()}


def shutdown(scheduler):
    scheduler.shutdown()
    log("shut down")
    over()


COMMANDS = {
    "add_job": add_job,
    "get_jobs": get_jobs,
    "modify_job": lambda scheduler, id, **changes: scheduler.modify_job(id, **changes) and None,
    "reschedule_job": lambda scheduler, id, trigger, at: scheduler.reschedule_job(id, trigger=trigger, **at) and None,
    "pause": lambda scheduler: scheduler.pause(),
    "pause_job": lambda scheduler, id: scheduler.pause_job(id) and None,
    "remove_job": lambda scheduler, id: scheduler.remove_job(id),
    "resume": lambda scheduler: scheduler.resume(),
    "resume_job": lambda scheduler, id: scheduler.resume_job(id) and None,
    "run_now": run_now,
    "shutdown": shutdown,
    "status": status,
    "arm": lambda scheduler, id, what: armed.update({id: what}),
}


def obey(scheduler, control):
    for line in lines(control):
        command = json.loads(line)
        number, do = command.pop("number"), command.pop("do")
        try:
            result, error = COMMANDS[do](scheduler, **command), None
        except BaseException as failure:
            result, error = None, repr(failure)
        log("answer", number=number, result=result, error=error)


def lines(path):
    """Every line that is appended to the file, for ever."""
    with open(path) as file:
        rest = ""
        while True:
            rest += file.read()
            *complete, rest = rest.split("\n")
            yield from complete
            time.sleep(0.02)


def sabotage():
    """Let a test stop or kill this process right at a claim."""
    ask, decision = FireClaims.ask, FireClaims.decision

    def at(claim, moment):
        job = claim.job.rpartition(":")[2]
        if armed.get(job) != moment:
            return
        del armed[job]
        log("struck", moment=moment, job=job, nominal=claim.fire.timestamp())
        # To this very thread: of a process's others, one may be asked to stop first, while this one goes on.
        number = signal.SIGSTOP if moment == "stop before the claim" else signal.SIGKILL
        signal.pthread_kill(threading.get_ident(), number)

    def asking(self, term, *claims, soon):
        for claim in claims:
            at(claim, "stop before the claim")
        return ask(self, term, *claims, soon=soon)

    async def deciding(self, term, claim, *, block):
        granted = await decision(self, term, claim, block=block)
        if granted:
            at(claim, "kill after the claim")
        return granted

    FireClaims.ask, FireClaims.decision = asking, deciding


def begin(scheduler):
    log("started", identity=replica.identity)
    threading.Thread(target=obey, args=(scheduler, options.control), daemon=True).start()


def serve():
    """As most programs do: a scheduler that is shut down when the program is told to end."""
    global over
    scheduler = build()
    ended = threading.Event()
    over = ended.set
    drain = option("drain", None)
    if drain is None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with nullcontext() if drain is None else running(sigterm="exit", drain=drain):
            if kind == "blocking":
                scheduler.add_listener(lambda _: begin(scheduler), events.EVENT_SCHEDULER_STARTED)
                scheduler.start(paused=option("paused", False))
            else:
                scheduler.start(paused=option("paused", False))
                begin(scheduler)
                ended.wait()
    finally:
        if scheduler.running:
            scheduler.shutdown()


async def serve_async():
    global over
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def over():
        loop.call_soon_threadsafe(ended.set)

    loop.add_signal_handler(signal.SIGTERM, ended.set)
    scheduler = build()
    scheduler.start(paused=option("paused", False))
    begin(scheduler)
    beating = asyncio.create_task(beat())
    await ended.wait()
    beating.cancel()
    if scheduler.running:
        scheduler.shutdown()
        await asyncio.sleep(0.1)


async def beat():
    """Tell how late the loop is, each second the worst."""
    worst, told = 0.0, boot_time()
    while True:
        before = boot_time()
        await asyncio.sleep(0.02)
        worst = max(worst, boot_time() - before - 0.02)
        if boot_time() > told + 1:
            log("beat", lag=worst)
            worst, told = 0.0, boot_time()


if __name__ == "__main__":
    sabotage()
    if kind == "asyncio":
        asyncio.run(serve_async())
    else:
        serve()
    log("main ends")
