"""What the examples' tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli.program import Program

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

RunExample = Callable[..., Program]


@pytest.fixture
def run_example(tmp_path: Path) -> Iterator[RunExample]:
    """`run_example(file, pod, *arguments, **environment)`: one replica, named by its pod, on a store of this test."""
    with ExitStack() as stack:

        def run(file: str, pod: str, *arguments: str, **environment: str) -> Program:
            command = [sys.executable, str(EXAMPLES / file), *arguments]
            settings = {"POD_NAME": pod, "SINGLETON_JOBS_STORE": f"sqlite://{tmp_path}/leases.sqlite3"}
            return stack.enter_context(Program(command, tmp_path / pod, **settings | environment))

        yield run
