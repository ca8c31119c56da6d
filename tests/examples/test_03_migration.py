"""examples/03-migration.py"""

import re
import signal
import sqlite3
from pathlib import Path

from .conftest import RunExample

STEP = re.compile(r"^step (\d) of 3 by (pod-[ab])_", re.MULTILINE)


def columns(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    try:
        return [row[1] for row in connection.execute("PRAGMA table_info(report)")]
    finally:
        connection.close()


def test_one_migrates_while_the_other_waits_and_finds_nothing_to_do(run_example: RunExample, tmp_path: Path):
    database = tmp_path / "app.sqlite3"
    first = run_example("03-migration.py", "pod-a", str(database))
    first.wait_for("migrating")
    second = run_example("03-migration.py", "pod-b", str(database))
    second.wait_for("waiting for the lock")
    assert second.count("migrating") == 0
    assert first.wait() == 0, first.output
    assert second.wait() == 0, second.output
    assert STEP.findall(first.output) == [("1", "pod-a"), ("2", "pod-a"), ("3", "pod-a")]
    assert STEP.findall(second.output) == []
    assert second.count("the schema is up to date") == 1
    assert columns(database) == ["id", "text", "sent_at"]


def test_one_that_is_stopped_is_relieved_at_the_next_step(run_example: RunExample, tmp_path: Path):
    database = tmp_path / "app.sqlite3"
    first = run_example("03-migration.py", "pod-a", str(database))
    first.wait_for("migrating")
    second = run_example("03-migration.py", "pod-b", str(database))
    second.wait_for("waiting for the lock")
    first.wait_for("step 1")
    assert first.stop(signal.SIGTERM) == 143
    assert "Traceback" not in first.output
    assert second.wait() == 0, second.output
    steps = STEP.findall(first.output) + STEP.findall(second.output)
    assert [number for number, _ in steps] == ["1", "2", "3"]
    assert columns(database) == ["id", "text", "sent_at"]


def test_one_that_waits_can_be_stopped(run_example: RunExample, tmp_path: Path):
    first = run_example("03-migration.py", "pod-a", str(tmp_path / "app.sqlite3"))
    first.wait_for("migrating")
    second = run_example("03-migration.py", "pod-b", str(tmp_path / "app.sqlite3"))
    second.wait_for("waiting for the lock")
    # Python ends by the signal itself if that came while a module was being imported, even when it was caught.
    assert second.stop(signal.SIGINT) in (0, -signal.SIGINT), second.output
    assert "Traceback" not in second.output
