"""Leads, and forks again and again; each child looks at what it has inherited, and makes a request of its own.

Environment: LOG, WHO, OPTIONS (lease, forks, at_once, timing).
"""

import json
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from chaos.log import Log

from singleton_jobs import Config, LeadershipLost, configure, leadership

options = json.loads(os.environ["OPTIONS"])
log = Log(os.environ["LOG"], os.environ["WHO"])
replica = configure("kubernetes:", config=Config(**options["timing"]))
leading = leadership(options["lease"])


def passes(term):
    try:
        term.check()
    except LeadershipLost:
        return False
    return True


def child(number, term, identity):
    if leading.is_leader or term.is_valid or passes(term):
        return "it leads"
    if replica.identity == identity:
        return "it has its parent's identity"
    lock = replica.locker(f"{options['lease']}-{number}")
    if not lock.try_lock():
        return "it gets no lock of its own"
    return "" if lock.unlock() else "it cannot give its lock back"


def forks(term):
    running = set()
    for number in range(options["forks"]):
        while len(running) >= options["at_once"]:
            running.discard(os.wait()[0])
        if (pid := os.fork()) == 0:
            problem = "it failed"
            try:
                problem = child(number, term, term.identity)
            except BaseException as error:
                problem = repr(error)
            finally:
                log.write("child", number=number, problem=problem)
                os._exit(0)
        running.add(pid)
    for pid in running:
        os.waitpid(pid, 0)


assert leading.wait(20)
first = leading.term
forks(first)
log.write("parent", same=leading.term is first and first.is_valid)
replica.close()
