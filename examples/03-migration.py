"""A database migration at the start of every replica.

The problem: a rollout starts three replicas at once, each brings the schema up to date first, and they collide.

Here a `LeaseLocker` goes round the migration: one replica migrates, the others wait and then find nothing to do. Run
this in two terminals at once. Stop the one that migrates: the other takes over and goes on with the next step.

Run it again: the schema is up to date. The first argument names another database file.
"""

import sqlite3
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from singleton_jobs import LeaseLocker, Term, running

DATABASE = Path(tempfile.gettempdir(), "singleton-jobs-example.sqlite3")
STEPS = (
    "CREATE TABLE report (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    "ALTER TABLE report ADD COLUMN sent_at TEXT",
    "CREATE INDEX report_sent_at ON report (sent_at)",
)
TAKES = 1.5  # seconds that each step would take on a large table


def migrate(database: sqlite3.Connection, term: Term) -> None:
    """Bring the schema up to date, step by step; each step and the number of it are committed together."""
    (done,) = database.execute("PRAGMA user_version").fetchone()
    for number, step in enumerate(STEPS[done:], start=done + 1):
        time.sleep(TAKES)
        term.check()  # before every effect: raises if the lease is not held at this very instant
        database.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT")
        print(f"step {number} of {len(STEPS)} by {term.identity}", flush=True)
    print("the schema is up to date", flush=True)


def main(path: Path) -> None:
    """Migrate under the lock; then the program itself would begin."""
    locker = LeaseLocker("schema-migration")
    print("waiting for the lock", flush=True)
    with locker.hold(timeout=60) as term:
        print("migrating", flush=True)
        database = sqlite3.connect(path)
        migrate(database, term)
        database.close()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), running(sigterm="exit"):
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATABASE)
