"""A Celery task that never runs twice at once.

The problem: two messages of one task reach two workers at the same time, or one message is delivered again while its
first run still works, and both runs do the work.

Here each run takes the lease `rebuild` and gives it back at its end. A message that finds it taken is tried again in two
seconds. A message whose worker died over it (`acks_late`) waits until the dead worker's lease has run out. Start two
workers and send some messages:

    python 07-celery-task.py worker
    python 07-celery-task.py send 5
"""

import os
import sys
import time

from celery import Celery

from singleton_jobs import current_term, exclusive

app = Celery("example", broker=os.environ.get("CELERY_BROKER", "redis://localhost:6379/0"))


@app.task(name="rebuild", acks_late=True, reject_on_worker_lost=True, max_retries=None)
@exclusive(lease="rebuild", on_busy="retry", countdown=2)  # under @app.task, next to the function
def rebuild(number: int) -> None:
    """Runs on one worker at a time."""
    term = current_term()
    assert term is not None  # inside an exclusive call there always is one
    print(f"rebuilding {number}, held by {term.identity}", flush=True)
    time.sleep(1)
    term.check()  # before every effect: raises if the lease is not held at this very instant
    print(f"rebuilt {number}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        for number in range(int(sys.argv[2])):
            rebuild.delay(number)
    else:
        app.worker_main(["worker", "--concurrency", "2", "--loglevel", "WARNING", *sys.argv[2:]])
