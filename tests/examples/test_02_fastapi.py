"""examples/02-fastapi.py, under uvicorn as it starts it, and as people start it."""

import http.client
import json
import sys
from pathlib import Path
from typing import Any

from cli.program import Program, wait_until
from controlplane.process import free_ports

from .conftest import EXAMPLES, RunExample


def status(port: int) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    except ConnectionError:
        return None
    finally:
        connection.close()


def test_both_serve_one_polls_and_the_other_takes_over(run_example: RunExample):
    ports = free_ports(2)
    first = run_example("02-fastapi.py", "pod-a", PORT=str(ports[0]))
    first.wait_for("poll 2 by pod-a_")
    second = run_example("02-fastapi.py", "pod-b", PORT=str(ports[1]))

    def told() -> bool:
        answer = status(ports[1])
        return answer is not None and str(answer["holder"]).startswith("pod-a_")

    wait_until(told, 30, lambda: second.output)
    answers = status(ports[0]), status(ports[1])
    assert answers[0] and answers[0]["leads"]
    assert answers[1] and not answers[1]["leads"]
    assert second.output == ""
    first.stop()
    assert "Traceback" not in first.output
    second.wait_for("poll 1 by pod-b_")
    polling = status(ports[1])
    assert polling and polling["leads"]
    second.stop()
    assert "Traceback" not in second.output


def test_it_runs_under_the_uvicorn_command(tmp_path: Path):
    # A module's name cannot begin with a digit, so people who use the command copy the file first.
    (tmp_path / "app.py").write_text((EXAMPLES / "02-fastapi.py").read_text())
    [port] = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--app-dir", str(tmp_path)]
    store = f"sqlite://{tmp_path}/leases.sqlite3"
    with Program(command, tmp_path / "pod-a", POD_NAME="pod-a", SINGLETON_JOBS_STORE=store) as worker:
        worker.wait_for("poll 1 by pod-a_")
        worker.stop()
        assert "Application shutdown complete" in worker.output
        assert "Traceback" not in worker.output
    with Program(command, tmp_path / "pod-b", POD_NAME="pod-b", SINGLETON_JOBS_STORE=store) as worker:
        worker.wait_for("poll 1 by pod-b_")
        worker.stop()
