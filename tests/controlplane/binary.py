"""Find etcd and kube-apiserver, or build them: KUBEBUILDER_ASSETS, then the user's cache, then `go build`.

Run as a script it fills the cache: `python tests/controlplane/binary.py [--from FILE[.xz]]`.
"""

from __future__ import annotations

import argparse
import fcntl
import lzma
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

VERSION = "1.37.2"  # of Kubernetes, as in go.mod
MODULE = Path(__file__).resolve().parent

_WHAT_TO_DO = (
    "install Go and have network access once (it is then built and cached), or run "
    "`make controlplane FROM=file.xz` with a ready build, or set KUBEBUILDER_ASSETS to a folder that holds "
    "`controlplane`, or `etcd` and `kube-apiserver`"
)


class ControlPlaneMissing(Exception):
    """No control plane was found and none could be built."""


@dataclass(frozen=True)
class Programs:
    """What to put before each program's flags."""

    etcd: tuple[str, ...]
    apiserver: tuple[str, ...]

    @classmethod
    def single(cls, path: Path) -> Programs:
        return cls(etcd=(str(path), "etcd"), apiserver=(str(path), "kube-apiserver"))


def cached_path() -> Path:
    """Where this version's build lies, or would lie, for this machine."""
    machine = platform.machine().lower()
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    name = f"controlplane-{VERSION}-{platform.system().lower()}-{arch}"
    return Path(platformdirs.user_cache_dir("singleton-jobs")) / name


def find() -> Programs | None:
    """A control plane that is ready to run; builds nothing."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        single = Path(assets, "controlplane")
        pair = Path(assets, "etcd"), Path(assets, "kube-apiserver")
        if single.is_file():
            return Programs.single(single)
        if all(path.is_file() for path in pair):
            return Programs(etcd=(str(pair[0]),), apiserver=(str(pair[1]),))
        raise ControlPlaneMissing(f"KUBEBUILDER_ASSETS={assets} holds no control plane: {_WHAT_TO_DO}")
    path = cached_path()
    return Programs.single(path) if path.is_file() else None


def find_or_build() -> Programs:
    """A control plane that is ready to run, built first if there is none."""
    return find() or Programs.single(build())


def build() -> Path:
    """Build into the cache, unless another process does so while we wait for its lock."""
    target = cached_path()
    with _cache_lock():
        if target.is_file():
            return target
        go = shutil.which("go")
        if go is None:
            raise ControlPlaneMissing(f"no control plane for e2e tests, and no Go to build it: {_WHAT_TO_DO}")
        message = "building the tests' control plane (etcd and kube-apiserver), once: about 4 minutes …"
        print(message, file=sys.stderr, flush=True)
        with _replacing(target) as temporary:
            _go_build(go, temporary)
    return target


def install(source: Path) -> Path:
    """Put a ready build (plain, or packed by xz) into the cache."""
    target = cached_path()
    with _cache_lock(), _replacing(target) as temporary:
        opener = lzma.open if source.suffix == ".xz" else open
        with opener(source, "rb") as ready, temporary.open("wb") as plain:
            shutil.copyfileobj(ready, plain, 1 << 20)
    return target


def _go_build(go: str, target: Path) -> None:
    package = "k8s.io/component-base/version"
    major, minor, _ = VERSION.split(".")
    stamps = f"-X {package}.gitVersion=v{VERSION} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    flags = ["-buildvcs=false", "-trimpath", "-ldflags", f"-s -w {stamps}", "-o", str(target)]
    command = [go, "build", *flags, "."]
    environment = os.environ | {"CGO_ENABLED": "0"}
    done = subprocess.run(command, cwd=MODULE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ControlPlaneMissing(f"`go build` failed: {done.stderr[-1500:].strip()}\n{_WHAT_TO_DO}")


@contextmanager
def _cache_lock() -> Iterator[None]:
    folder = cached_path().parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "controlplane.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A temporary name that becomes `target` only when what was written there really runs."""
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.chmod(0o755)
        try:
            asked = [str(temporary), "kube-apiserver", "--version"]
            said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError) as error:
            raise ControlPlaneMissing(f"this does not run here ({error}): {_WHAT_TO_DO}") from error
        if VERSION not in said:
            raise ControlPlaneMissing(f"wanted Kubernetes {VERSION}, this is {said!r}: {_WHAT_TO_DO}")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fill the cache with the tests' control plane.")
    parser.add_argument("--from", dest="source", type=Path, help="a ready build, plain or .xz (else: go build)")
    source: Path | None = parser.parse_args().source
    try:
        print(install(source) if source else build())
    except (ControlPlaneMissing, OSError, lzma.LZMAError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
