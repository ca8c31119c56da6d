"""`singleton-jobs demo`, run as people run it."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from rich.console import Console

from cli.commands import IN_BACKGROUND
from cli.program import DEMO, Program, is_alive, wait_until
from singleton_jobs.cli.demo.views import LiveView, PlainView, make_view

LATE = r", caught up: due \d\d:\d\d:\d\d, \d+\.\d s late"
RAN = re.compile(rf"^\d\d:\d\d:\d\d  ran on demo-[123]  \(token \d+\)(?:{LATE})?$", re.MULTILINE)
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Shown:
    status: int
    text: str

    def number(self, row: str) -> float:
        found = re.search(rf"^ *{row} +([\d.]+)", self.text, re.MULTILINE)
        assert found, self.text
        return float(found[1])


class OnTerminal:
    """The demo on a pseudo-terminal of 80 columns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
        environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
        environment |= {"TERM": "xterm-256color", "PYTHONUTF8": "1", "TMPDIR": str(folder)}
        self.process = subprocess.Popen(
            [*DEMO, "--seconds", "10"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self._seen = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def ended(self) -> bool:
        """Whether it has; to be called often, as it reads what is shown."""
        over = self.process.poll() is not None
        while more := self._read():
            self._seen += more
        return over

    @property
    def shown(self) -> Shown:
        wait_until(self.ended, 60, lambda: f"it did not end: {self._seen!r}")
        return Shown(self.process.returncode, SEQUENCE.sub("", self._seen.decode()))

    def _read(self) -> bytes:
        try:
            return os.read(self._ours, 1 << 16)
        except OSError:  # nothing there now, or ever
            return b""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shown]:
    """Four demos side by side: as plain lines, on a terminal, and in the two modes that ask nobody."""
    folder = tmp_path_factory.mktemp("demo")
    command = [*DEMO, "--seconds", "10"]
    with (
        Program(command, folder / "plain", TMPDIR=str(folder)) as plain,
        Program(command, folder / "always", TMPDIR=str(folder), SINGLETON_JOBS_MODE="always") as always,
        Program(command, folder / "never", TMPDIR=str(folder), SINGLETON_JOBS_MODE="never") as never,
        OnTerminal(folder / "live") as live,
    ):
        shown = {"live": live.shown}  # first: somebody must read what it shows
        programs = {"plain": plain, "always": always, "never": never}
        shown |= {name: Shown(program.wait(), program.output) for name, program in programs.items()}
    assert not list(folder.glob("**/singleton-jobs-demo-*")), "temporary folders are left"
    return shown


def test_every_tick_runs_once_though_two_leaders_are_killed(played: dict[str, Shown]):
    shown = played["plain"]
    assert shown.status == 0, shown.text
    assert shown.number("doubled") == shown.number("missed") == 0
    assert shown.number("ticks") == shown.number("runs") == len(RAN.findall(shown.text)) == 10
    assert "interrupted" not in shown.text
    for kill in ("SIGTERM", "SIGKILL"):
        assert len(re.findall(rf"killed the leader, demo-\d, with {kill}$", shown.text, re.MULTILINE)) == 1
    assert len(set(re.findall(r"demo-\d leads now  \(token (\d+)\)", shown.text))) >= 3
    assert shown.text.splitlines()[-1].startswith("No tick ran twice and none was missed")
    assert "\x1b" not in shown.text


def test_tokens_grow_from_leader_to_leader(played: dict[str, Shown]):
    tokens = [int(token) for token in re.findall(r"ran on demo-\d  \(token (\d+)\)", played["plain"].text)]
    assert tokens == sorted(tokens)


def test_it_fails_if_guards_ask_nobody(played: dict[str, Shown]):
    shown = played["always"]
    assert shown.status == 1, shown.text
    assert shown.number("doubled") >= 5
    assert shown.text.splitlines()[-1].startswith("FAILED: ")
    assert "SINGLETON_JOBS_MODE=always" in shown.text.splitlines()[-1]


def test_it_fails_if_nothing_runs(played: dict[str, Shown]):
    shown = played["never"]
    assert shown.status == 1, shown.text
    assert shown.number("missed") == shown.number("ticks") == 10
    assert "FAILED: nothing ran. SINGLETON_JOBS_MODE=never" in shown.text.splitlines()[-1]


def test_a_terminal_shows_a_table_that_fits(played: dict[str, Shown]):
    shown = played["live"]
    assert shown.status == 0, shown.text
    assert "second by second" in shown.text
    assert re.search(r"demo-\d +leads \(token \d+\) +\d+ +[·█▒✗]+", shown.text)
    assert "✗" in shown.text
    assert "No tick ran twice and none was missed" in shown.text
    assert max(len(line) for line in re.split(r"[\r\n]+", shown.text)) <= 80


@contextmanager
def replicas_end_with(demo: Program, folder: Path) -> Iterator[None]:
    """The three replicas run when the block begins, and end, with nobody's help, once it has ended."""
    demo.wait_for("ran on")
    [events] = folder.glob("singleton-jobs-demo-*/events.jsonl")
    pids = {json.loads(line)["pid"] for line in events.read_text().splitlines()}
    left = lambda: [pid for pid in pids if is_alive(pid)]  # noqa: E731
    try:
        assert len(left()) == 3
        yield
        wait_until(lambda: not left(), 20, lambda: f"left behind: {left()}")
    finally:
        for pid in left():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda end: end.name)
def test_whatever_ends_it_no_process_is_left_behind(tmp_path: Path, end: signal.Signals):
    with Program(DEMO, tmp_path, TMPDIR=str(tmp_path)) as demo, replicas_end_with(demo, tmp_path):
        status = demo.stop(end)
        assert status == {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}[end], demo.output
        assert "Traceback" not in demo.output
    if end != signal.SIGKILL:
        assert not list(tmp_path.glob("singleton-jobs-demo-*"))


def test_ctrl_c_on_a_terminal_reaches_everybody_and_leaves_nobody(tmp_path: Path):
    with Program(DEMO, tmp_path, TMPDIR=str(tmp_path)) as demo, replicas_end_with(demo, tmp_path):
        os.killpg(demo.process.pid, signal.SIGINT)
        assert demo.wait() == 130, demo.output
        assert demo.output.splitlines()[-1] == "Stopped; all replicas have ended."


def test_it_goes_on_if_interrupts_were_ignored_when_it_started(tmp_path: Path):
    with Program([*IN_BACKGROUND, *DEMO], tmp_path, TMPDIR=str(tmp_path)) as demo, replicas_end_with(demo, tmp_path):
        demo.process.send_signal(signal.SIGINT)
        demo.wait_for("ran on", demo.count("ran on") + 1)
        assert demo.stop() == 143, demo.output


def test_a_replica_that_cannot_start_is_named_with_its_reason(tmp_path: Path):
    with Program(DEMO, tmp_path, SINGLETON_JOBS_MODE="sometimes") as demo:
        assert demo.wait() == 1
        last = demo.output.splitlines()[-1]
        assert last.startswith("Error: demo-")
        assert "SINGLETON_JOBS_MODE must be auto, always or never" in last


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


class OldTerminal(Terminal):
    encoding = "ascii"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("file", "environment", "plain", "kind"),
    [
        (Terminal, {}, False, LiveView),
        (Terminal, {}, True, PlainView),
        (Terminal, {"NO_COLOR": "1"}, False, PlainView),
        (Terminal, {"NO_COLOR": ""}, False, LiveView),
        (Terminal, {"TERM": "dumb"}, False, PlainView),
        (Terminal, {"COLUMNS": "40"}, False, PlainView),
        (OldTerminal, {}, False, PlainView),
        (io.StringIO, {}, False, PlainView),
        (io.StringIO, {"FORCE_COLOR": "1"}, False, PlainView),
    ],
)
def test_plain_lines_wherever_a_live_table_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, file: type[io.StringIO], environment: dict[str, str], plain: bool, kind: type
):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "COLUMNS": "80", **environment}.items():
        monkeypatch.setenv(name, value)
    console = Console(file=file(), _environ=dict(os.environ))
    assert isinstance(make_view(console, plain=plain), kind)
