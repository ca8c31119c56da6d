"""examples/08-rerun.py"""

from __future__ import annotations

import re
import signal
from pathlib import Path

from cli.program import Program

from .conftest import RunExample

PAGE = re.compile(r"^(\S+) page (\d) (closed|was closed before) \(attempt (\d), (pod-[ab])_", re.MULTILINE)


def pages(replica: Program) -> list[tuple[str, ...]]:
    return PAGE.findall(replica.output)


def test_a_killed_ones_books_are_closed_by_the_other(run_example: RunExample, tmp_path: Path):
    books = str(tmp_path / "books.sqlite3")
    first = run_example("08-rerun.py", "pod-a", books, SINGLETON_JOBS_LEASE_DURATION="3")
    first.wait_for("page 4 closed (attempt 1")
    second = run_example("08-rerun.py", "pod-b", books, SINGLETON_JOBS_LEASE_DURATION="3")
    first.wait_for("page 2 closed (attempt 1", times=2)
    first.stop(signal.SIGKILL)
    second.wait_for("page 4 closed (attempt 2")
    second.wait_for("page 4 closed (attempt 1")
    assert second.stop() == 143
    struck, *_ = pages(first)[-1]
    again = [page for page in pages(second) if page[0] == struck]
    assert [(number, attempt, who) for _, number, _, attempt, who in again] == [(n, "2", "pod-b") for n in "1234"]
    before = [number for _, number, how, _, _ in again if how == "was closed before"]
    assert "12" <= "".join(before) < "1234"
    assert "runs again here (attempt 2)" in second.output
    closed = [page[:2] for replica in (first, second) for page in pages(replica) if page[2] == "closed"]
    assert len(closed) == len(set(closed))
