"""Every Python snippet in README and docs runs, as its reader would run it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from manifests import manifest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE = 4.0  # seconds, after which a snippet that loops is ended as a pod is


def blocks(language: str, pages: list[Path] = PAGES) -> list[object]:
    return [
        pytest.param(code, id=f"{page.name}-{number}")
        for page in pages
        for number, (kind, code) in enumerate(BLOCK.findall(page.read_text()), 1)
        if kind == language
    ]


@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_snippet_runs(code: str, tmp_path: Path) -> None:
    environment = os.environ | {"SINGLETON_JOBS_STORE": f"sqlite://{tmp_path}/leases.db"}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-u", "-c", code],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=PATIENCE)
        expected = 0
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        expected = 128 + signal.SIGTERM
    assert process.returncode == expected, err
    assert "Traceback" not in err, err
    assert out or "print(" not in code


@pytest.mark.parametrize("code", blocks("py"))
def test_a_fragment_of_a_program_in_a_framework_that_is_not_installed_here_is_python(code: str) -> None:
    compile(code, "fragment", "exec")


def test_the_readmes_role_is_the_one_that_is_shipped() -> None:
    (shown,) = [yaml.safe_load(param.values[0]) for param in blocks("yaml", PAGES[:1])]  # type: ignore[attr-defined]
    shipped = manifest("rbac.yaml", "Role")
    for rule in (*shown["rules"], *shipped["rules"]):
        del rule["resourceNames"]
    assert shown["rules"] == shipped["rules"]
