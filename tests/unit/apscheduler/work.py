"""Jobs: stores name them by their module."""

import os
import threading

from singleton_jobs import current_fire, current_term
from singleton_jobs_apscheduler import interrupted

RAN = []  # what `work` was called with, and under which fire


def work(*args):
    RAN.append((args, current_fire(), current_term()))
    return "worked"


def fail():
    RAN.append((("fail",), current_fire(), current_term()))
    raise ValueError("no good")


class Torn(Exception):
    """It can be pickled, and not unpickled."""

    def __init__(self, what, where):
        super().__init__(f"{what} in {where}")


def tear():
    raise Torn("a hole", "the bag")


def give_lock():
    return threading.Lock()


async def work_async(*args):
    RAN.append((args, current_fire(), current_term()))
    return "worked"


def tell():
    """From another process."""
    fire, term = current_fire(), current_term()
    return os.getpid(), fire.job, fire.time, term.is_valid, term.fencing_token


class Worker:
    def __init__(self, name):
        self.name = name

    def tell(self):
        return self.name, current_fire().job


@interrupted("rerun")
def work_again(*args):
    return work(*args)
