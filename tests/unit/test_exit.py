"""How a program ends: leases are given back at a normal exit, and on SIGTERM when that was asked for."""

import signal
import sqlite3

import pytest

from unit.programs import run, start


@pytest.fixture
def env(tmp_path):
    return {"SINGLETON_JOBS_STORE": f"sqlite://{tmp_path}/leases.db", "SINGLETON_JOBS_IDENTITY": "app"}


@pytest.fixture
def holder(tmp_path):
    def holder() -> str:
        connection = sqlite3.connect(tmp_path / "leases.db")
        try:
            row = connection.execute("SELECT json_extract(body, '$.spec.holderIdentity') FROM lease").fetchone()
        finally:
            connection.close()
        return row[0]

    return holder


def test_a_normal_exit_gives_the_lease_back(env, holder):
    run(
        """
        from singleton_jobs import leader_only
        @leader_only(lease="nightly")
        def job():
            return "ran"
        assert job() == "ran"
        assert job.leadership.is_leader
        """,
        env=env,
    )
    assert holder() == ""


def test_an_exception_at_the_top_gives_the_lease_back(env, holder):
    process = start(
        """
        from singleton_jobs import leadership
        assert leadership("nightly").wait(10)
        raise SystemExit(3)
        """,
        env=env,
    )
    process.communicate(timeout=20)
    assert process.returncode == 3
    assert holder() == ""


def test_an_exit_while_guarded_work_runs_on_a_thread_leaves_the_lease_to_run_out(env, holder):
    run(
        """
        import threading
        from singleton_jobs import leader_only
        started = threading.Event()
        @leader_only(lease="nightly")
        def job():
            started.set()
            threading.Event().wait()
        threading.Thread(target=job, daemon=True).start()
        assert started.wait(10)
        """,
        env=env,
    )
    assert holder().startswith("app_")


def test_a_dead_holder_is_replaced_at_once(env):
    for _ in range(2):
        process = start(
            """
            import os
            from singleton_jobs import leadership
            assert leadership("nightly").wait(5)
            os._exit(7)
            """,
            env=env,
        )
        _, err = process.communicate(timeout=20)
        assert process.returncode == 7, err


SERVER = """
import signal, sys, threading
from singleton_jobs import running, leadership
{before}
with running("nightly", sigterm="{sigterm}"):
    assert leadership("nightly").wait(10)
    print("leading", flush=True)
    threading.Event().wait(20)
"""


def terminated(env, **parts):
    process = start(SERVER.format(**{"before": "", "sigterm": "exit"} | parts), env=env)
    assert process.stdout.readline() == "leading\n", process.communicate()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    return process.returncode, out


def test_sigterm_exits_with_the_usual_status_and_gives_the_lease_back(env, holder):
    status, _ = terminated(env)
    assert status == 128 + signal.SIGTERM
    assert holder() == ""


def test_the_handler_that_was_there_is_called_first(env, holder):
    before = "signal.signal(signal.SIGTERM, lambda *_: print('mine', flush=True))"
    status, out = terminated(env, before=before)
    assert (status, out) == (128 + signal.SIGTERM, "mine\n")
    assert holder() == ""


def test_a_handler_that_raises_keeps_its_exception(env, holder):
    before = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))"
    status, _ = terminated(env, before=before)
    assert status == 5
    assert holder() == ""


@pytest.mark.parametrize(
    "interrupted",
    [
        "os.register_at_fork(after_in_parent=terminate)\n    os.fork() or os._exit(0)",
        "type('Finalized', (), {'__del__': terminate})()",
        "weakref.finalize(set(), terminate)",
    ],
    ids=["a fork", "a finalizer", "a weak reference"],
)
def test_sigterm_in_the_midst_of(env, holder, interrupted):
    program = f"""
import os, signal, threading, weakref
from singleton_jobs import running, leadership

def terminate(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    [None for _ in range(1000)]  # here the handler is called

signal.signal(signal.SIGTERM, lambda *_: print("told"))
with running("nightly", sigterm="exit"):
    assert leadership("nightly").wait(10)
    {interrupted}
    threading.Event().wait(10)
"""
    process = start(program, env=env)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (128 + signal.SIGTERM, "told\n", "")
    assert holder() == ""


def test_left_alone_sigterm_ends_the_process_as_ever(env, holder):
    status, _ = terminated(env, sigterm="leave")
    assert status == -signal.SIGTERM
    assert holder().startswith("app_")
