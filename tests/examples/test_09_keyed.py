"""examples/09-keyed.py"""

import sqlite3
from pathlib import Path

from .conftest import RunExample


def test_a_tenant_runs_in_one_process_while_others_run_in_the_next(run_example: RunExample, tmp_path: Path):
    first = run_example("09-keyed.py", "pod-a", "acme", "zoo")
    first.wait_for("acme: begun by pod-a_")
    second = run_example("09-keyed.py", "pod-b", "acme", "initech")
    assert first.wait() == 0, first.output
    assert second.wait() == 0, second.output
    assert first.count("page synchronised") == 2
    assert second.count("acme: under way elsewhere") == 1
    assert second.count("initech: 1 page synchronised") == 1
    assert "under sync.initech" in second.output
    left = sqlite3.connect(tmp_path / "leases.sqlite3").execute("SELECT count(*) FROM lease").fetchone()
    assert left == (0,)
