"""Every snippet in README and docs runs, as its reader would run it."""

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from singleton_jobs.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PATIENCE = 7.0  # seconds, after which a snippet that loops is ended as a pod is, once it has begun
LIMIT = 60.0  # seconds until it must have begun, and as many more until it must have ended


def blocks(language: str) -> list[object]:
    return [
        pytest.param(textwrap.dedent(code), id=f"{page.name}-{number}")
        for page in PAGES
        for number, (kind, code) in enumerate(BLOCK.findall(page.read_text()), 1)
        if kind == language
    ]


def has_begun(process: "subprocess.Popen[bytes]", said: Path, code: str) -> bool:
    """Whether a snippet that loops would end as a pod does, and has said something if it ever does."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:  # not on Linux, or it has just ended
        return True
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1 and (said.stat().st_size or "print(" not in code))


@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_snippet_runs(code: str, tmp_path: Path) -> None:
    environment = os.environ | {"SINGLETON_JOBS_STORE": f"sqlite://{tmp_path}/leases.db"}
    said, errors = tmp_path / "said.txt", tmp_path / "errors.txt"
    with said.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-u", "-c", code], cwd=tmp_path, env=environment, stdout=out, stderr=err
        )
    expected, began = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        past = time.monotonic() - began
        if expected == 0 and past > PATIENCE and (has_begun(process, said, code) or past > LIMIT):
            process.send_signal(signal.SIGTERM)
            expected = 128 + signal.SIGTERM
        if past > 2 * LIMIT:
            process.kill()
    assert process.returncode == expected, errors.read_text()
    assert "Traceback" not in errors.read_text()
    assert said.stat().st_size or "print(" not in code


TWICE = """
import asyncio

async def enter() -> None:
    async with app.router.lifespan_context(app):
        await asyncio.sleep(0.1)

for _ in range(3):
    asyncio.run(enter())
"""


@pytest.mark.parametrize("code", [code for code in blocks("python") if "lifespan=" in code.values[0]])  # type: ignore[attr-defined]
def test_a_lifespan_is_entered_again_in_one_process_as_test_clients_do(code: str, tmp_path: Path) -> None:
    environment = os.environ | {"SINGLETON_JOBS_STORE": f"sqlite://{tmp_path}/leases.db"}
    program = [sys.executable, "-W", "error", "-c", code + TWICE]
    done = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("code", blocks("py"))
def test_a_fragment_of_a_program_in_a_framework_that_is_not_installed_here_is_python(code: str) -> None:
    compile(code, "fragment", "exec")


def commands() -> list[str]:
    """Our own, wherever they stand in a line of a console."""
    text = "\n".join(str(param.values[0]) for param in blocks("console"))  # type: ignore[attr-defined]
    return sorted({found.strip() for found in re.findall(r"(?:^|\s)(singleton-jobs [^|#\n]+)", text)})


@pytest.mark.parametrize("command", commands())
def test_a_command_that_is_shown_is_understood(command: str) -> None:
    _, name, *arguments = shlex.split(command)
    found = main.commands[name]
    with found.make_context(name, arguments, resilient_parsing=False) as context:
        assert context.params


def test_every_command_is_shown() -> None:
    assert {command.split()[1] for command in commands()} >= main.commands.keys() - {"demo"}


def test_no_snippet_is_of_a_kind_that_nothing_tests() -> None:
    kinds = {kind for page in PAGES for kind, _ in BLOCK.findall(page.read_text())}
    assert kinds <= {"python", "py", "console", "go", "json"}, kinds
