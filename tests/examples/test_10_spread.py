"""examples/10-spread.py"""

import re
import signal
from collections import Counter

from cli.program import Program

from .conftest import RunExample

COUNTED = re.compile(r"^(\S+) (\S+) counted by (pod-[abc])_", re.MULTILINE)


def counted(*replicas: Program) -> list[tuple[str, str, str]]:
    return [found for replica in replicas for found in COUNTED.findall(replica.output)]


def test_each_fire_is_run_by_one_and_all_have_some(run_example: RunExample):
    replicas = [run_example("10-spread.py", name) for name in ("pod-a", "pod-b")]
    for replica, name in zip(replicas, ("pod-a", "pod-b"), strict=True):
        replica.wait_for(f"counted by {name}_", times=5)
    for replica in replicas:
        assert replica.stop(signal.SIGTERM) == 143, replica.output
        assert "Traceback" not in replica.output
    assert set(Counter((time, shop) for time, shop, _ in counted(*replicas)).values()) == {1}
