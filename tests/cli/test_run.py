"""`singleton-jobs run` on the real API server: its child never outlives the term, as seen from outside."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.commands import BEATING, COMMAND, IN_BACKGROUND, Beat, beats, call, start
from cli.program import Program, is_alive, wait_until
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy
from singleton_jobs import Config
from singleton_jobs.cli.run.supervisor import kill_by

DURATION, DEADLINE, EARLY = 3.0, 2.0, 0.5
RUN = ["run", "--lease", "poller", "--lease-duration", "3"]

Start = Callable[..., Program]


# When a child is killed, by the clock alone


@pytest.mark.parametrize(
    ("ended", "at"),
    [(None, 100 + 8 + 5 - 0.5), ("expired", 100 - 1 + 5 - 0.5), ("taken", 100), ("freed", 100), ("deleted", 100)],
)
def test_a_hold_that_ran_out_leaves_time_and_any_other_end_none(ended, at):
    config = Config(lease_duration=15, renew_deadline=10)
    assert kill_by(config, 100.0, 8.0 if ended is None else 0.0, ended, 1.0, 1e9) == at


@pytest.mark.parametrize("ended", [None, "expired"])
def test_a_grace_ends_sooner(ended):
    assert kill_by(Config(), 100.0, 8.0, ended, 1.0, 101.5) == 101.5


# Real processes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "beats.txt"


@pytest.fixture
def run(make_pod: MakePod, tmp_path: Path, file: Path) -> Iterator[Start]:
    """`run(pod_name, *ways of the child, **make_pod's)`: a `run` as that pod."""
    started: list[Program] = []

    def begin(name: str, *ways: str, options: tuple[str, ...] = (), **pod: Any) -> Program:
        env = make_pod(name, **pod).env
        command = [*RUN, *options, "--", sys.executable, BEATING, str(file), *ways]
        started.append(start(tmp_path / name, *command, **env))
        return started[-1]

    yield begin
    for program in started:
        program.process.send_signal(signal.SIGCONT)
        program.process.kill()
        program.wait()
        print(program.output)


def first(file: Path, after: float = 0.0, **fields: object) -> Beat:
    found: list[Beat] = []

    def look() -> bool:
        found[:] = [b for b in beats(file) if b.at > after and all(getattr(b, k) == v for k, v in fields.items())]
        return bool(found)

    wait_until(look, 30, lambda: f"nobody wrote {fields} after {after}: {beats(file)[-5:]}")
    return found[0]


def last(file: Path, token: int) -> Beat:
    return [beat for beat in beats(file) if beat.token == token][-1]


def boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def assert_no_overlap(file: Path) -> None:
    tokens = [beat.token for beat in beats(file)]
    assert tokens == sorted(tokens), "two terms' children lived at once"


def last_renewal(proxy: Proxy) -> float:
    """When the last write reached the proxy, in boot time."""
    return max(seen.at for seen in proxy.requests if seen.method == "PUT") + boot_time() - time.monotonic()


@pytest.mark.e2e
def test_the_child_dies_with_a_run_that_is_killed(run: Start, file: Path) -> None:
    killed = run("pod-a", "stubborn", "family")
    child = first(file)
    run("pod-b")
    killed.process.kill()
    at = boot_time()
    other = first(file, after=at, what="starts")
    assert other.token > child.token
    assert last(file, child.token).at <= at + 1
    assert other.at >= at + DURATION - 1
    assert_no_overlap(file)


@pytest.mark.e2e
def test_a_run_that_stands_still_loses_its_child_in_time(run: Start, file: Path) -> None:
    stopped = run("pod-a", "stubborn")
    child = first(file)
    run("pod-b", "stubborn")
    stopped.process.send_signal(signal.SIGSTOP)
    at = boot_time()
    other = first(file, after=at, what="starts")
    assert last(file, child.token).at <= at + DURATION
    stopped.process.send_signal(signal.SIGCONT)
    stopped.wait_for("is held by pod-b")
    assert last(file, other.token).at > other.at
    assert_no_overlap(file)


@pytest.mark.e2e
def test_sigterm_is_the_childs_and_another_takes_over_at_once(run: Start, file: Path) -> None:
    long = ("--lease-duration", "12")
    leaving = run("pod-a", options=long)
    child = first(file)
    run("pod-b", options=long).wait_for("is held by pod-a")
    assert leaving.stop() == 9
    told = first(file, what="SIGTERM")
    assert told.token == child.token
    assert first(file, after=told.at, what="starts").at - told.at < 8  # without waiting the lease out
    assert_no_overlap(file)


@pytest.mark.e2e
def test_a_child_that_does_not_end_is_killed_after_its_grace_and_the_lease_is_kept_meanwhile(
    run: Start, file: Path
) -> None:
    leaving = run("pod-a", "stubborn", options=("--grace", "4"))
    child = first(file)
    run("pod-b")
    assert leaving.stop() == 128 + signal.SIGKILL
    told = first(file, what="SIGTERM")
    ended = last(file, child.token)
    assert 4 - 0.1 < ended.at - told.at < 4 + 2  # longer than a lease that is not renewed
    assert re.search(r"is no longer held by pod-a_\w+: it was released", leaving.output)
    assert first(file, after=ended.at, what="starts").token > child.token
    assert_no_overlap(file)


@pytest.mark.e2e
@pytest.mark.parametrize("way", ["stubborn", "polite"])
def test_an_outage_ends_the_child_before_another_may_take_over(run: Start, file: Path, proxy: Proxy, way: str) -> None:
    cut_off = run("pod-a", way, server=proxy)
    child = first(file)
    run("pod-b", way)
    proxy.partition()
    other = first(file, after=child.at, what="starts", pid=first(file, after=boot_time() + DURATION).pid)
    renewed = last_renewal(proxy)
    assert last(file, child.token).at <= renewed + (DURATION if way == "stubborn" else DURATION - EARLY)
    assert first(file, what="SIGTERM").at >= renewed + DEADLINE - 1
    assert other.token > child.token
    proxy.heal()
    cut_off.wait_for("is held by pod-b")
    assert_no_overlap(file)


@pytest.mark.e2e
def test_a_child_is_started_again_on_regain(run: Start, file: Path, proxy: Proxy) -> None:
    program = run("pod-a", server=proxy)
    child = first(file)
    proxy.partition()
    program.wait_for("the program has ended")
    proxy.heal()
    again = first(file, after=last(file, child.token).at, what="starts")
    assert again.token > child.token
    assert again.pid != child.pid
    assert program.stop() == 9


@pytest.mark.e2e
def test_theft_kills_at_once(run: Start, file: Path, admin: Admin, namespace: str) -> None:
    run("pod-a", "stubborn")
    child = first(file)
    admin.patch_lease(namespace, "poller", {"spec": {"holderIdentity": "thief_1"}})
    stolen = boot_time()
    wait_until(lambda: not is_alive(child.pid), 10, lambda: "it lives")
    assert last(file, child.token).at - stolen < DEADLINE  # at its next renewal, and not by a deadline


@pytest.mark.e2e
def test_when_the_watching_process_is_killed_so_is_the_child_and_the_lease_is_given_back(
    run: Start, file: Path, admin: Admin, namespace: str
) -> None:
    program = run("pod-a", "stubborn")
    child = first(file)
    keeper = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert keeper != program.process.pid
    os.kill(keeper, signal.SIGKILL)
    assert program.wait() == 126
    assert not is_alive(child.pid)
    assert "has died, so the program was killed" in program.output
    lease = admin.get_lease(namespace, "poller") or {}
    assert lease["spec"]["holderIdentity"] == ""


@pytest.mark.e2e
def test_a_child_that_ends_by_itself_ends_run_with_its_status(run: Start, file: Path, make_pod: MakePod) -> None:
    pod = make_pod("pod-a")
    script = f"echo $SINGLETON_JOBS_LEASE $SINGLETON_JOBS_FENCING_TOKEN; exit 7 # {file}"
    printed = call(*RUN, "--", "sh", "-c", script, **pod.env)
    assert printed.status == 7
    lease, token = printed.output.split()
    assert (lease, int(token) > 0) == ("poller", True)
    assert pod.admin.get_lease(pod.namespace, "poller")["spec"]["holderIdentity"] == ""


@pytest.mark.e2e
def test_a_proxy_that_is_not_for_this_server_is_not_asked(make_pod: MakePod) -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "10.0.0.0/8,127.0.0.0/8"}
    printed = call(*RUN, "--", "echo", "led", **nowhere, **make_pod("pod-a").env)
    assert (printed.status, printed.output) == (0, "led\n"), printed


@pytest.mark.e2e
def test_other_signals_pass_through(run: Start, file: Path) -> None:
    program = run("pod-a")
    first(file)
    for name in ("SIGHUP", "SIGUSR1"):
        program.process.send_signal(signal.Signals[name])
        first(file, what=name)
    assert program.process.poll() is None


def test_signals_that_were_ignored_when_it_started_end_neither_it_nor_the_program(tmp_path: Path, file: Path) -> None:
    command = [*IN_BACKGROUND, *COMMAND, *RUN, "--", sys.executable, BEATING, str(file)]
    with Program(command, tmp_path, SINGLETON_JOBS_STORE=f"sqlite:///{tmp_path}/leases.sqlite3") as program:
        first(file)
        for name in ("SIGINT", "SIGHUP", "SIGUSR1"):
            program.process.send_signal(signal.Signals[name])
        first(file, what="SIGUSR1")
        assert program.stop() == 9
    assert "SIGHUP" not in {beat.what for beat in beats(file)}


def test_the_program_ignores_what_was_ignored_when_it_was_started(tmp_path: Path) -> None:
    script = "kill -INT $$; kill -HUP $$; echo lives; kill -USR1 $$"
    command = [*IN_BACKGROUND, *COMMAND, *RUN, "--", "sh", "-c", script]
    with Program(command, tmp_path, SINGLETON_JOBS_STORE=f"sqlite:///{tmp_path}/leases.sqlite3") as program:
        assert program.wait() == 128 + signal.SIGUSR1
        assert "lives\n" in program.output


@pytest.mark.e2e
def test_step_down_moves_the_program(run: Start, file: Path, make_pod: MakePod) -> None:
    run("pod-a", options=("--grace", "2"))
    child = first(file)
    run("pod-b").wait_for("is held by pod-a")
    printed = call("step-down", "poller", **make_pod("operator").env)
    assert printed.status == 0, printed
    assert "from pod-a_" in printed.output
    assert "to pod-b_" in printed.output
    other = first(file, what="starts", after=last(file, child.token).at)
    assert other.token > child.token
    assert_no_overlap(file)


def as_process_one(*command: str) -> list[str]:
    return ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command]


can_unshare = (
    shutil.which("unshare") is not None and subprocess.run(as_process_one("true"), capture_output=True).returncode == 0
)


@pytest.mark.skipif(not can_unshare, reason="this machine makes no process namespaces")
def test_as_process_1_it_heeds_sigterm_and_reaps_what_loses_its_parent(tmp_path: Path) -> None:
    script = "(sh -c 'sleep 0.1 & echo orphan' &); sleep 1; echo zombies: $(ps -e -o stat= | grep -c Z); exec sleep 60"
    command = as_process_one(*COMMAND, *RUN, "--", "sh", "-c", script)
    with Program(command, tmp_path, SINGLETON_JOBS_STORE=f"sqlite:///{tmp_path}/leases.sqlite3") as program:
        program.wait_for("zombies: 0")
        children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        assert program.wait() == 128 + signal.SIGTERM


# Wrong input


def test_a_command_that_is_not_there_is_said_before_any_lease_is_taken(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/leases.sqlite3"
    printed = call(*RUN, "--", "no-such-program", SINGLETON_JOBS_STORE=store)
    assert (printed.status, printed.errors) == (127, "Error: 'no-such-program' is not a program that can be run\n")
    assert not (tmp_path / "leases.sqlite3").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--lease", "No_Good!", "--", "true"], "lease name 'No_Good!' cannot be used"),
        (["run", "--lease", "x", "--grace", "-1", "--", "true"], "--grace must be zero or more seconds"),
        (["run", "--lease", "x", "--lease-duration", "1", "--", "true"], "must leave at least 1 s"),
        (["run", "--lease", "x"], "Missing argument"),
        (["run", "--lease", "x", "--store", "redis://x", "--", "true"], "store 'redis://x' is not one of"),
    ],
)
def test_bad_input_is_refused_with_status_2(arguments: list[str], says: str) -> None:
    printed = call(*arguments)
    assert printed.status == 2
    assert says in printed.errors
    assert "Traceback" not in printed.errors


def test_in_mode_never_nothing_is_run() -> None:
    printed = call(*RUN, "--", "echo", "ran", SINGLETON_JOBS_MODE="never", SINGLETON_JOBS_STORE="memory:")
    assert (printed.status, printed.output) == (2, "")
    assert "SINGLETON_JOBS_MODE=never" in printed.errors
