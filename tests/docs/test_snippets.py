"""Every snippet in README and docs runs, as its reader would run it."""

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from singleton_jobs.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PATIENCE = 7.0  # seconds, after which a snippet that loops, and has begun by then, is ended as a pod is


def blocks(language: str) -> list[object]:
    return [
        pytest.param(textwrap.dedent(code), id=f"{page.name}-{number}")
        for page in PAGES
        for number, (kind, code) in enumerate(BLOCK.findall(page.read_text()), 1)
        if kind == language
    ]


@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_snippet_runs(code: str, tmp_path: Path) -> None:
    environment = os.environ | {"SINGLETON_JOBS_STORE": f"sqlite://{tmp_path}/leases.db"}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-u", "-c", code],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=PATIENCE)
        expected = 0
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        expected = 128 + signal.SIGTERM
    assert process.returncode == expected, err
    assert "Traceback" not in err, err
    assert out or "print(" not in code


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
