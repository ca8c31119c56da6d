"""The jobs: each run is in the journal, with the fire it is for."""

import asyncio
import os
import signal
import time

from program import boot_time, log

from singleton_jobs import current_fire, current_term


class Run:
    def __init__(self, job, tag):
        self.begin = boot_time()
        fire = current_fire()
        self.term = fire.term if fire else current_term()
        self.fields = {
            "job": job,
            "tag": tag,
            "key": fire and fire.job,
            "nominal": fire and fire.time.timestamp(),
            "attempt": fire and fire.attempt,
            "token": self.term and self.term.fencing_token,
        }
        self.told = False
        log("run", at=self.begin, wall=time.time(), **self.fields)

    def look(self):
        if not self.told and self.term.lost.is_set():
            self.told = True
            log("told", **self.fields)

    def end(self):
        log("ended", began=self.begin, valid=bool(self.term and self.term.is_valid), **self.fields)


def run(job, seconds=0, tag=None):
    this = Run(job, tag)
    while boot_time() < this.begin + seconds:
        time.sleep(0.02)
        this.look()
    this.end()


async def run_async(job, seconds=0, tag=None):
    this = Run(job, tag)
    while boot_time() < this.begin + seconds:
        await asyncio.sleep(0.02)
        this.look()
    this.end()


def check(job, seconds):
    """Ask before each step whether the lease is still held."""
    this = Run(job, None)
    while boot_time() < this.begin + seconds:
        time.sleep(0.02)
        this.term.check()
    this.end()


def fail(job):
    Run(job, None)
    raise ValueError("no good")


def die(job, times):
    """Take the process down with it, so many times for each fire."""
    this = Run(job, None)
    if current_fire().attempt <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    this.end()
