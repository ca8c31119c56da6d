"""`singleton-jobs` itself."""

import importlib.metadata

import pytest
from click.testing import CliRunner, Result

from singleton_jobs.cli import main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="singleton-jobs")


def test_help_names_the_command():
    result = run("--help")
    assert result.exit_code == 0
    assert "demo" in result.output


def test_version(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.metadata, "version", {"singleton-jobs": "1.2.3"}.__getitem__)
    assert run("--version").output == "singleton-jobs, version 1.2.3\n"


@pytest.mark.parametrize("seconds", ["9", "601", "x"])
def test_demo_refuses_a_length_that_makes_no_demo(seconds: str):
    assert run("demo", "--seconds", seconds).exit_code == 2
