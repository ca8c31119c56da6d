"""`singleton-jobs` itself."""

import importlib.metadata
import os
import subprocess
import sys

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


@pytest.mark.e2e
def test_as_a_plugin_of_kubectl_it_uses_the_kubeconfig_unasked(make_pod, monkeypatch):
    pod = make_pod("pod-a")
    program = [sys.executable, "-P", "-c", "from singleton_jobs.cli import kubectl_main; kubectl_main()", "status"]
    environment = os.environ | {"KUBECONFIG": str(pod.kubeconfig)}
    printed = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert printed.returncode == 0, printed
    assert f"Kubernetes namespace {pod.namespace}" in printed.stdout
    helped = subprocess.run([*program[:4], "--help"], env=environment, capture_output=True, text=True).stdout
    assert helped.startswith("Usage: kubectl singleton-jobs ")


def test_it_is_installed_under_both_names():
    scripts = importlib.metadata.distribution("singleton-jobs").entry_points.select(group="console_scripts")
    assert {script.name for script in scripts} == {"singleton-jobs", "kubectl-singleton_jobs"}


def test_a_namespace_asks_for_kubernetes(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("SINGLETON_JOBS_STORE", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    result = run("status", "-n", "jobs")
    assert result.exit_code == 2
    assert "usable kubeconfig" in result.output
