"""Copies the shipped packages, breaks one thing in the copy, and runs the tests that should notice."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from mutants.mutant import Mutant

PACKAGES = ("singleton_jobs", "singleton_jobs_apscheduler", "singleton_jobs_celery")
TESTS = Path(__file__).parents[1]
LIMIT = 120.0  # seconds for the tests of one mutant
HANG = 60  # seconds after which a test that does not end has failed, and so is named

FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", re.MULTILINE)
TESTED = re.compile(r"^singleton_jobs: (.+)$", re.MULTILINE)


class Outcome(NamedTuple):
    """``noticed``: the first test that went red; None if all passed. ``wrong``: why this is no result at all."""

    noticed: str | None
    seconds: float
    wrong: str | None = None


def installed(package: str) -> Path:
    """The folder of an installed package."""
    spec = importlib.util.find_spec(package)
    assert spec and spec.origin, f"{package} is not installed"
    return Path(spec.origin).parent


def source(file: str) -> Path:
    """An installed file, such as ``singleton_jobs/term.py``."""
    package, _, rest = file.partition("/")
    return installed(package) / rest


def applied(mutant: Mutant, text: str) -> str | None:
    """``text`` with the mutant's one change; None unless there is exactly one place for it."""
    if text.count(mutant.old) != 1 or mutant.old == mutant.new:
        return None
    return text.replace(mutant.old, mutant.new)


def baseline(tests: tuple[str, ...]) -> Outcome:
    """How ``tests`` end with an unpatched copy: nothing is to be noticed."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        _copy(Path(folder))
        return _test(Path(folder), tests, limit=LIMIT * 3)


def run(mutant: Mutant) -> Outcome:
    """Whether the mutant's tests notice it."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        _copy(Path(folder))
        file = Path(folder) / mutant.file
        text = applied(mutant, file.read_text())
        if text is None:
            return Outcome(None, 0.0, wrong="it does not apply")
        file.write_text(text)
        return _test(Path(folder), mutant.tests, limit=LIMIT)


def _copy(folder: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(installed(package), folder / package, ignore=shutil.ignore_patterns("__pycache__"))


def _test(folder: Path, tests: tuple[str, ...], limit: float) -> Outcome:
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-m", "not e2e", f"--timeout={HANG}"]
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*command, *(str(TESTS / test) for test in tests)],
            cwd=TESTS.parent,
            # The copy comes before what is installed, also for programs that the tests start.
            env=os.environ | {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(None, time.monotonic() - began, wrong=f"no end within {limit:.0f} s: {' '.join(tests)}")
    took = time.monotonic() - began
    tested = TESTED.search(done.stdout)  # the tests say so themselves
    if tested is None or Path(tested[1]).parent != folder:
        return Outcome(None, took, wrong=f"not the copy was tested: {(done.stdout + done.stderr)[-1500:]}")
    failure = FIRST_FAILURE.search(done.stdout)
    if done.returncode == 1 and failure:
        return Outcome(failure[1].removeprefix("tests/"), took)
    if done.returncode == 0:
        return Outcome(None, took)
    return Outcome(None, took, wrong=f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
