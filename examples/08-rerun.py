"""A job that runs again when it was cut short.

The problem: a replica dies in the middle of a run. Nobody can tell how far it came, so nobody runs that fire again, and
the books of that day stay open until somebody looks.

Here the job's author says that it may start again: each day's books are closed page by page, and a page that is closed
already is left as it is. So the next leader runs the same fire again, at once, before any later one. Run this in two
terminals: one closes pages. `kill -9` it: the other begins that fire anew, as attempt 2, and skips the pages that are
done. After three attempts a fire would be given up, with a warning.
"""

import logging
import sqlite3
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from apscheduler.schedulers.blocking import BlockingScheduler

from singleton_jobs import current_fire, running
from singleton_jobs_apscheduler import guard, interrupted

DATABASE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir(), "singleton-jobs-books.sqlite3")
PAGES = 4
TAKES = 0.5  # seconds for a page

scheduler = BlockingScheduler(timezone="UTC")
guard(scheduler, lease="books")


@scheduler.scheduled_job("cron", second="*/4", id="close-books", coalesce=False)
@interrupted("rerun", max_attempts=3)
def close_books() -> None:
    """The fire's time names the books: it is the same in each attempt, whoever makes it, and when."""
    fire = current_fire()
    assert fire is not None  # inside a scheduled run there always is one
    with closing(sqlite3.connect(DATABASE)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS page (books TEXT, page INTEGER, PRIMARY KEY (books, page))")
        for page in range(1, PAGES + 1):
            time.sleep(TAKES)
            fire.term.check()  # before every effect: raises if the lease is not held at this very instant
            with database:  # done, or not: nothing in between
                done = database.execute("INSERT OR IGNORE INTO page VALUES (?, ?)", (f"{fire.time:%F %T}", page))
            how = "closed" if done.rowcount else "was closed before"
            print(f"{fire.time:%H:%M:%S} page {page} {how} (attempt {fire.attempt}, {fire.term.identity})", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    # Kubernetes ends pods with SIGTERM, on which Python would stop without giving the lease back.
    with suppress(KeyboardInterrupt), running(sigterm="exit"):
        scheduler.start()
