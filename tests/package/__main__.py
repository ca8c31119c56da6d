"""The matrix: the built wheel alone and with each extra, with the lowest and the newest versions of what it needs.

python -m package            lowest on the oldest Python, newest on the newest, everything once on those between
python -m package --all      every combination, also on Pythons that only Debian's development release has

On the newest Python the stores' contract is tested as well: it verifies certificates more strictly than the oldest.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from controlplane.admin import Admin
from controlplane.binary import find_or_build
from controlplane.pod import Pod
from controlplane.proxy import Proxy
from controlplane.server import ControlPlane
from package.pythons import UV, Interpreter, interpreters

ROOT = Path(__file__).resolve().parents[2]
SMOKE = Path(__file__).parent / "smoke.py"
EXTRAS = ("", "apscheduler", "celery", "prometheus", "all")
AT_ONCE = 3
LIMIT = 600  # seconds for one command
LOWEST, NEWEST = "lowest-direct", "highest"
PACKAGES = {
    "singleton_jobs": "singleton_jobs",
    "singleton_jobs_apscheduler": "integrations/singleton_jobs_apscheduler",
    "singleton_jobs_celery": "integrations/singleton_jobs_celery",
}


def check_contents(wheel: Path) -> None:
    """The wheel holds our three packages, whole, their metadata, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    if names != expected:
        sys.exit(f"the wheel has {sorted(names - expected)} too many, and lacks {sorted(expected - names)}")


def combinations(pythons: list[str], *, all_of_them: bool) -> list[tuple[str, str, str]]:
    if all_of_them:
        return list(product(pythons, (LOWEST, NEWEST), EXTRAS))
    between = [(python, NEWEST, "all") for python in pythons[1:-1]]
    return [(pythons[0], LOWEST, e) for e in EXTRAS] + between + [(pythons[-1], NEWEST, e) for e in EXTRAS]


def install_and_try(
    wheel: Path, python: Interpreter, resolution: str, extra: str, environment: dict[str, str]
) -> str | None:
    """What went wrong, if anything did."""
    with tempfile.TemporaryDirectory() as folder:
        interpreter = str(Path(folder) / "venv/bin/python")
        wanted = f"singleton-jobs{f'[{extra}]' if extra else ''} @ {wheel.as_uri()}"
        # The lowest versions that have wheels: the very lowest are older than the newest Pythons, and do not build there.
        options = ["--quiet", "--no-build", "--python", interpreter, "--resolution", resolution]
        commands = (
            [UV, "venv", "--quiet", "--python", python.path, Path(folder) / "venv"],
            [UV, "pip", "install", *options, wanted],
            [interpreter, "-W", "error", SMOKE, extra],
        )
        return first_failure(python, commands, cwd=folder, env=environment)


def test_contract(wheel: Path, python: Interpreter) -> str | None:
    """What went wrong, if anything did."""
    with tempfile.TemporaryDirectory() as folder:
        interpreter = str(Path(folder) / "venv/bin/python")
        needs = [f"singleton-jobs @ {wheel.as_uri()}", "pytest", "pytest-timeout", "cryptography"]
        commands = (
            [UV, "venv", "--quiet", "--python", python.path, Path(folder) / "venv"],
            [UV, "pip", "install", "--quiet", "--python", interpreter, *needs],
            [interpreter, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract"],
        )
        return first_failure(python, commands, cwd=ROOT, env=None)


def first_failure(
    python: Interpreter, commands: Iterable[Sequence[str | Path]], *, cwd: str | Path, env: dict[str, str] | None
) -> str | None:
    """The first command that failed, or took too long, and what it said."""
    for command in commands:
        whole = [*python.prefix, *command]
        try:
            done = subprocess.run(whole, capture_output=True, text=True, cwd=cwd, env=env, timeout=LIMIT)
        except subprocess.TimeoutExpired as error:
            return str(error)
        if done.returncode:
            return f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="package", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every combination")
    arguments = parser.parse_args()
    [wheel] = (ROOT / "dist").glob("*.whl")
    check_contents(wheel)
    pythons = interpreters(fetch=arguments.all)
    failed, began = False, time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlPlane(Path(folder) / "cp", find_or_build()) as server,
        Proxy(server, Path(folder) / "old", identifiers=False) as old,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        admin = Admin(server, server.admin_token)
        admin.create_namespace("matrix")
        pod = Pod.create(admin, "matrix", "smoke", directory=Path(folder) / "pod")
        in_old = Pod.create(admin, "matrix", "smoke-old", server=old, directory=Path(folder) / "old-pod")
        clean = {name: value for name, value in os.environ.items() if not re.match("SINGLETON_JOBS|PYTHON", name)}
        clean |= pod.env | {"OLD_CLUSTER": str(in_old.kubeconfig)}
        jobs = {
            f"{python:5} {resolution:14} {extra or '-':12}": pool.submit(
                install_and_try, wheel, pythons[python], resolution, extra, clean
            )
            for python, resolution, extra in combinations(list(pythons), all_of_them=arguments.all)
        }
        newest = max(pythons)
        jobs[f"{newest:5} {NEWEST:14} {'contract':12}"] = pool.submit(test_contract, wheel, pythons[newest])
        for job, done in jobs.items():
            wrong = done.result()
            print(f"{job} {'FAILED' if wrong else 'ok'}", flush=True)
            failed = failed or wrong is not None
            if wrong:
                print(wrong, flush=True)
    print(f"{len(jobs)} of them in {time.monotonic() - began:.0f} s, on Python {', '.join(pythons)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
