"""examples/07-celery-task.py"""

import re

import pytest
from databases.fixtures import redis_server, redis_url  # noqa: F401

from cli.program import wait_until

from .conftest import RunExample

pytestmark = pytest.mark.e2e


def test_messages_run_one_after_the_other(run_example: RunExample, redis_url: str) -> None:  # noqa: F811
    broker = {"CELERY_BROKER": redis_url}
    workers = [run_example("07-celery-task.py", f"pod-{name}", "worker", **broker) for name in "ab"]
    sender = run_example("07-celery-task.py", "pod-c", "send", "3", **broker)
    assert sender.wait() == 0, sender.output

    def done() -> int:
        return sum(worker.count("rebuilt ") for worker in workers)

    wait_until(lambda: done() == 3, 60, lambda: "".join(worker.output for worker in workers))
    for worker in workers:
        worker.stop()
        order = re.findall(r"(rebuilding|rebuilt) (\d+)", worker.output)
        assert order == [(verb, number) for _, number in order[::2] for verb in ("rebuilding", "rebuilt")]
        assert "Traceback" not in worker.output
