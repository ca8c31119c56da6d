"""A forked child holds nothing, is somebody else, and leaves its parent alone."""

import asyncio
import errno
import mmap
import os
import threading
import traceback

import pytest

from singleton_jobs import LeadershipLost, LeaseExpired, Replica, current_term
from singleton_jobs.concurrency import forks
from singleton_jobs.locks import LockRecord, SQLiteStore
from unit.programs import run
from unit.stage import LIMIT, QUICK, in_thread, seen_by

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_child(work):
    """Run ``work`` in a forked child; AssertionError if it raised there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 0
        try:
            work()
        except BaseException:
            os.write(write, traceback.format_exc().encode()[-4000:])
            status = 1
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as said:
        text = said.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, text


@pytest.fixture
def replica(tmp_path):
    store = SQLiteStore(tmp_path / "leases.db")
    with Replica(store=store, identity="app", config=QUICK) as replica:
        yield replica
    if store._connection:
        asyncio.run(store.run(lambda connection: connection.close()))  # on the thread where a watch may be reading


def test_the_child_holds_nothing(replica):
    leadership = replica.leadership("nightly")
    assert leadership.wait(timeout=LIMIT)

    def child():
        assert not leadership.is_leader
        assert leadership.term is None

    in_child(child)


def test_an_inherited_term_is_invalid(replica):
    leadership = replica.leadership("nightly")
    assert leadership.wait(timeout=LIMIT)
    term = leadership.term

    def child():
        assert not term.is_valid
        assert term.remaining == 0
        with pytest.raises(LeadershipLost, match="forked"):
            term.check()

    in_child(child)
    assert term.is_valid


def test_the_child_has_an_identity_of_its_own(replica):
    parent = replica.identity

    def child():
        assert replica.identity.startswith("app_")
        assert replica.identity != parent

    in_child(child)
    assert replica.identity == parent


def test_an_inherited_lockers_unlock_frees_nothing(replica):
    locker = replica.locker("rebuild")
    assert locker.try_lock()

    def child():
        assert not locker.is_held
        assert not locker.unlock()
        assert not locker.unlock_with_retry()
        with pytest.raises(LeaseExpired):
            locker.check()

    in_child(child)
    assert locker.is_held
    assert locker.unlock()


def test_the_child_competes_with_its_parent(replica):
    leadership, locker = replica.leadership("nightly"), replica.locker("rebuild")
    assert leadership.wait(timeout=LIMIT)
    assert locker.try_lock()

    def child():
        assert not replica.locker("rebuild").try_lock()
        assert not leadership.wait(timeout=0.3)
        assert replica.locker("of-the-child").try_lock()

    in_child(child)


def test_the_parent_renews_on(replica):
    leadership = replica.leadership("nightly")
    assert leadership.wait(timeout=LIMIT)
    term = leadership.term
    in_child(lambda: leadership._part.core.wiring().identity)
    candidacy, contact = leadership._part.candidacy, leadership._part.candidacy.contacted_at
    seen_by(candidacy, lambda: candidacy.contacted_at > contact)
    assert leadership.term is term


def test_a_fork_inside_guarded_work_ends_it_in_neither(replica):
    @replica.leader_only(lease="nightly")
    def work():
        in_child(lambda: None)
        return current_term().is_valid

    assert work()
    assert work.leadership._part.candidacy.work.active == set()


def test_a_child_that_goes_on_after_the_guarded_function_disturbs_nobody(tmp_path):
    out = run(
        f"""
        import os
        from singleton_jobs import Replica
        replica = Replica(store="sqlite://{tmp_path}/leases.db", identity="app")

        @replica.leader_only(lease="nightly")
        def work():
            return os.fork()

        pid = work()
        if pid == 0:
            print("child", work.leadership.is_leader, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print("parent", work.leadership.is_leader)
        """
    )
    assert sorted(out.split("\n")) == ["", "child False", "parent True"]


def test_a_fork_during_a_transaction_leaves_the_child_able_to_lock(tmp_path):
    store = SQLiteStore(tmp_path / "leases.db")
    inside, go_on = threading.Event(), threading.Timer(0.3, lambda: None)

    def transaction(connection):
        connection.execute("BEGIN IMMEDIATE")
        inside.set()
        go_on.join()
        connection.execute("COMMIT")

    go_on.start()
    finish = in_thread(lambda: asyncio.run(store.run(transaction)))
    assert inside.wait(LIMIT)
    in_child(lambda: asyncio.run(store.lock("nightly", "child_1").create(LockRecord("child_1", 15))))
    finish()
    store._connection.close()


@pytest.mark.parametrize("fork", ["os.fork", "ctypes.PyDLL(None).fork"])
@pytest.mark.parametrize("made", ["_new_home", "Numbered"])
def test_a_home_is_left_by_every_fork(made, fork):
    out = run(
        f"""
        import ctypes, os
        from singleton_jobs.concurrency import forks
        here = forks.{made}()
        pid = {fork}()
        if pid == 0:
            os._exit(bool(here[0]))
        print(os.waitpid(pid, 0)[1], bool(here[0]))
        """
    )
    assert out.split() == ["0", "True"]


@pytest.mark.parametrize("refused", [{forks.WIPE_ON_FORK, forks.NO_ADVICE}, set()], ids=["old kernel", "emulator"])
def test_where_no_memory_is_wiped_a_home_is_known_by_its_number(monkeypatch, refused):
    class Memory(mmap.mmap):
        def madvise(self, advice):
            if advice in refused:
                raise OSError(errno.EINVAL, "no such advice")

    monkeypatch.setattr(mmap, "mmap", Memory)
    assert isinstance(forks._new_home(), forks.Numbered)


@pytest.mark.parametrize("store", ["memory:", "sqlite:///{}/leases.db"])
def test_a_child_that_was_forked_in_c_is_a_replica_of_its_own(tmp_path, store):
    out = run(
        f"""
        import ctypes, os, sys, time
        from singleton_jobs import Config, LeaseLocker, configure, leader_only, leadership
        # The other threads are at rest, and renewals are rare: a fork in the midst of their work may hang in Python.
        configure(store={store.format(tmp_path)!r}, config=Config(lease_duration=90))

        @leader_only(lease="a")
        def work():
            return "ran"

        held = LeaseLocker("held")
        assert work() == "ran" and held.lock()
        time.sleep(0.5)
        pid = ctypes.PyDLL(None).fork()  # as a server in C does it: no hook of Python's runs
        if pid == 0:
            try:
                print(LeaseLocker("own").lock(timeout=15), work().reason, held.is_held, held.unlock())
                print(leadership("z").wait(timeout=15), flush=True)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        print(work(), held.is_held)
        """,
        timeout=60,
    )
    assert out.splitlines() == ["True not-leader False False", "True", "ran True"]


def test_a_child_of_a_follower_that_was_forked_in_c_competes_for_itself():
    out = run(
        """
        import ctypes, os, time
        from singleton_jobs import Config, Replica
        leader, follower = [Replica("memory:", config=Config(lease_duration=90)) for _ in range(2)]
        assert leader.leadership("a").wait(timeout=15)
        work = follower.leader_only("a")(lambda: "ran")
        assert work().reason == work().reason == "not-leader"
        time.sleep(0.5)
        pid, before = ctypes.PyDLL(None).fork(), work.leadership._part.candidacy
        if pid == 0:
            try:
                print(work().reason, work.leadership._part.candidacy is before, flush=True)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        """,
        timeout=60,
    )
    assert out.split() == ["not-leader", "False"]
