"""examples/kubernetes: dashboard, alerts and PodMonitor fit the metrics that there are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from manifests import FOLDER, manifest
from singleton_jobs.hooks.prometheus import METRICS

RULES = manifest("alerts.yaml", "PrometheusRule")["spec"]
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
DOCS = (FOLDER.parents[1] / "docs/metrics.md").read_text()


def names(expression: str) -> set[str]:
    """Of our metrics, without what histograms add."""
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"singleton_jobs_\w+", expression)}


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_every_metric_and_no_other():
    shown = {name for expression in expressions() for name in names(expression)}
    assert shown == {metric.name for metric in METRICS}


def test_alerts_know_the_metrics():
    known = {metric.name for metric in METRICS}
    for rule in ALERTS:
        assert names(rule["expr"]) <= known, rule
        assert {"summary", "description"} <= rule["annotations"].keys()


def test_every_alert_is_explained():
    assert re.findall(r"^\| `(SingletonJobs\w+)` ", DOCS, re.MULTILINE) == [rule["alert"] for rule in ALERTS]


def test_the_podmonitor_selects_the_deployment():
    labels = manifest("deployment.yaml", "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("podmonitor.yaml", "PodMonitor")["spec"]["selector"]["matchLabels"].items() <= labels.items()


def promtool(*arguments: str, cwd: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        assert os.environ.get("SINGLETON_JOBS_REQUIRE_E2E") != "1", "promtool is missing: install prometheus"
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    inner = ",".join(f'{key}="{value}"' for key, value in ({"namespace": "jobs"} | labels).items())
    return {"series": f"singleton_jobs_{name}{{{inner}}}", "values": values}


CASES: dict[str, tuple[list[dict[str, str]], str, bool]] = {
    "nobody": ([series("is_leader", "0x20", lease="x", pod="a")], "SingletonJobsNobodyLeads", True),
    "somebody": (
        [series("is_leader", "0x20", lease="x", pod="a"), series("is_leader", "1x20", lease="x", pod="b")],
        "SingletonJobsNobodyLeads",
        False,
    ),
    "two": (
        [series("is_leader", "1x20", lease="x", pod="a"), series("is_leader", "1x20", lease="x", pod="b")],
        "SingletonJobsTwoLeaders",
        True,
    ),
    "lost": ([series("terms_ended_total", "0+1x20", lease="x", ended="expired")], "SingletonJobsTermsLost", True),
    "released": ([series("terms_ended_total", "0+1x20", lease="x", ended="released")], "SingletonJobsTermsLost", False),
    "denied": (
        [series("request_errors_total", "_x8 1x9", request="read", error="denied")],
        "SingletonJobsAccessDenied",
        True,
    ),
    "interrupted at once": (
        [series("fires_total", "_x8 1x9", lease="x", job_name="fn:r", outcome="interrupted")],
        "SingletonJobsFireInterrupted",
        True,
    ),
    "interrupted again": (
        [series("fires_total", "1x8 2x9", lease="x", job_name="fn:r", outcome="interrupted")],
        "SingletonJobsFireInterrupted",
        True,
    ),
    "run": (
        [series("fires_total", "0+1x20", lease="x", job_name="fn:r", outcome="run")],
        "SingletonJobsFireInterrupted",
        False,
    ),
    "missed": (
        [series("fires_total", "_x8 1x9", lease="x", job_name="fn:r", outcome="missed")],
        "SingletonJobsFireMissed",
        True,
    ),
}


def test_rules_are_rules(tmp_path: Path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    promtool("check", "rules", "rules.yaml", cwd=tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_an_alert_fires_when_it_should(case: str, tmp_path: Path):
    given, alert, fires = CASES[case]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    at = "16m"
    tests = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": given,
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                        "eval_time": at,
                        "exp_samples": [{"labels": "{}", "value": int(fires)}],
                    }
                ],
            }
        ],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests))
    promtool("test", "rules", "tests.yaml", cwd=tmp_path)
