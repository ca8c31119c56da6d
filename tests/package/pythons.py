"""The Pythons of the matrix: this machine's, and of those that it lacks the ones that Debian's development release has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
IN_DEBIAN = ("3.14", "3.15")
UV = Path(sys.executable).with_name("uv")
ON_ITS_USR = 'mount --bind "$0" /usr && exec "$@"'  # in a mount namespace of its own, which ends with the command


class NoDebian(Exception):
    """Why Debian's Pythons cannot be used here."""


@dataclass(frozen=True)
class Interpreter:
    """Where it is, and what to put before each command that uses it."""

    path: str
    prefix: tuple[str, ...] = ()


def interpreters(*, fetch: bool) -> dict[str, Interpreter]:
    """By version, in order; those that are missing are named. ``fetch``: also those of Debian, fetched once."""
    found, hint = _on_this_machine(), "make matrix ARGS=--all fetches it"
    lacking = [version for version in IN_DEBIAN if version not in found]
    if fetch and lacking:
        try:
            prefix = ("unshare", "--mount", "sh", "-c", ON_ITS_USR, str(_debian() / "usr"))
            found |= {version: Interpreter(f"/usr/bin/python{version}", prefix) for version in lacking}
        except NoDebian as error:
            hint = f"fetching it {error}"
    for version in PYTHONS:
        if version not in found:
            how = hint if version in IN_DEBIAN else "install it"
            print(f"NOT TRIED: Python {version}, which this machine has not; {how}", flush=True)
    return {version: found[version] for version in PYTHONS if version in found}


def _on_this_machine() -> dict[str, Interpreter]:
    found = {}
    for version in PYTHONS:
        beside_ours = sorted(Path(sys.base_prefix).parent.glob(f"{version}*/bin/python3"))  # as pyenv keeps them
        find = [UV, "python", "find", "--no-python-downloads", version]
        done = subprocess.run(find, capture_output=True, text=True, cwd="/")
        if beside_ours or done.returncode == 0:
            found[version] = Interpreter(str(beside_ours[-1]) if beside_ours else done.stdout.strip())
    return found


def _debian() -> Path:
    """The root folder of its development release, from the cache once it is there. Raises NoDebian."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoDebian("takes root on Linux")
    if not Path("/lib").is_symlink():  # else programs would load the libraries of one release with another's loader
        raise NoDebian("takes a machine whose /lib is in /usr")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:  # as in many a container
        raise NoDebian("takes the right to mount")
    packages = [f"python{version}" for version in IN_DEBIAN]
    root = Path(platformdirs.user_cache_dir("singleton-jobs")) / "-".join(["debian", *packages])
    if not root.is_dir():
        _debootstrap(packages, root)
    return root


def _debootstrap(packages: list[str], root: Path) -> None:
    program = shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise NoDebian("takes debootstrap")
    print(f"fetching {' and '.join(packages)} into {root}", flush=True)
    making = root.with_name(f"{root.name}.{os.getpid()}")
    done = subprocess.run(
        [program, "--variant=minbase", f"--include={','.join(packages)}", "sid", making],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        shutil.rmtree(making, ignore_errors=True)
        raise NoDebian(f"failed: {' '.join(done.stdout.splitlines()[-1:])}")
    making.rename(root)
