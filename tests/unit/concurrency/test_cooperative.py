"""Programs whose threads are greenlets: the renewals are on a native thread, and nothing of the program's is."""

import pytest

from unit.programs import run

PATCHED = """
import {by}
{patch}
import logging, threading, time
from singleton_jobs import Config, Replica
from singleton_jobs.locks import MemorySpace
from singleton_jobs.locks.memory import MemoryLock
logging.basicConfig(level=logging.INFO)
space = MemorySpace()
replica = Replica(store=space, config=Config(lease_duration=3, retry_period=0.1))
@replica.leader_only(lease="nightly")
def job():
    return "ran"
def eventually(is_so):
    end = time.monotonic() + 10
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    return is_so()
"""
PATCHES = {"gevent": "import gevent.monkey; gevent.monkey.patch_all()", "eventlet": "eventlet.monkey_patch()"}


@pytest.fixture(params=PATCHES)
def patched(request):
    return lambda source: run(PATCHED.format(by=request.param, patch=PATCHES[request.param]) + source)


def test_guards_and_lockers_work(patched):
    out = patched("""
assert job() == "ran"
locker = replica.locker("rebuild")
assert locker.try_lock() and not replica.locker("rebuild").try_lock() and locker.unlock()
print(job())
replica.close()
""")
    assert out == "ran\n"


def test_a_greenlet_that_never_yields_does_not_starve_the_renewals(patched):
    out = patched("""
job()
before = space.leases["nightly"][1]
end = time.monotonic() + 0.8
while time.monotonic() < end:
    pass
print(space.leases["nightly"][1] - before >= 4, job())
replica.close()
""")
    assert out == "True ran\n"


def test_greenlets_wait_without_stopping_the_others(patched):
    out = patched("""
locker, other = replica.locker("rebuild"), replica.locker("rebuild")
locker.try_lock()
got = []
threading.Thread(target=lambda: got.append(other.lock(10))).start()
time.sleep(0.1)
locker.unlock()
print(eventually(lambda: got == [True]), other.unlock())
replica.close()
""")
    assert out == "True True\n"


def test_a_callback_may_wait_for_a_greenlet(patched):
    out = patched("""
lock, heard = threading.Lock(), []
def callback(event):
    with lock:
        heard.append(type(event).__name__)
leading = replica.leadership("nightly")
leading.subscribe(callback)
with lock:
    assert leading.wait(10)
    time.sleep(0.3)
print(eventually(lambda: "TermStarted" in heard), leading.is_leader)
replica.close()
""")
    assert out == "True True\n"


def test_a_fault_is_logged_though_a_greenlet_is_writing_the_log(patched):
    out = patched("""
leading = replica.leadership("nightly")
assert leading.wait(10)
handler, update = logging.getLogger().handlers[0], MemoryLock.update
async def fails(*_, **__):
    raise RuntimeError("out of order")
MemoryLock.update = fails
with handler.lock:
    time.sleep(0.5)
MemoryLock.update = update
before = space.leases["nightly"][1]
print(eventually(lambda: space.leases["nightly"][1] > before + 3), leading.is_leader)
replica.close()
""")
    assert out == "True True\n"


def test_a_greenlet_sees_at_once_that_its_term_is_lost(patched):
    out = patched("""
assert replica.leadership("nightly").wait(10)
term, seen = replica.leadership("nightly").term, []
threading.Thread(target=lambda: seen.append(term.lost.wait())).start()
print(term.lost.wait(0.1))
with space.mutex:
    del space.leases["nightly"]
print(eventually(lambda: seen == [True]))
replica.close()
""")
    assert out == "False\nTrue\n"


def test_the_last_events_are_told_at_the_end(patched):
    out = patched("""
replica.leadership("nightly").subscribe(lambda event: print(type(event).__name__))
assert job() == "ran"
""")
    assert "TermEnded" in out.split()


def test_sigterm_ends_the_program_also_in_the_midst_of_a_finalizer(patched):
    out = patched("""
import os, signal
from singleton_jobs import running
def terminate(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    [None for _ in range(1000)]  # here the handler is called
try:
    with running("nightly", sigterm="exit", replica=replica):
        assert replica.leadership("nightly").wait(10)
        type("Finalized", (), {"__del__": terminate})()
        time.sleep(10)
except SystemExit as error:
    print(error.code, replica.leadership("nightly").is_leader)
""")
    assert out == "143 False\n"
