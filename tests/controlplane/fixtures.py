"""Pytest fixtures for tests against the real control plane."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from .admin import Admin
from .binary import ControlPlaneMissing, find_or_build
from .pod import Pod
from .proxy import Proxy
from .server import ControlPlane

MakePod = Callable[..., Pod]


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One etcd and API server per test process."""
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    required = os.environ.get("SINGLETON_JOBS_REQUIRE_E2E") == "1"
    # A build takes minutes and says so: what is printed here must be seen at once.
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        try:
            programs = find_or_build()
        except ControlPlaneMissing as error:
            if required:
                raise
            print(f"\n*** NO END-TO-END TESTS: {error}", file=sys.stderr, flush=True)
            pytest.skip(str(error))
    with ControlPlane(tmp_path_factory.mktemp("controlplane"), programs) as started:
        yield started


@pytest.fixture
def admin(control_plane: ControlPlane) -> Iterator[Admin]:
    yield Admin(control_plane, control_plane.admin_token)
    control_plane.recover()


@pytest.fixture
def namespace(control_plane: ControlPlane, admin: Admin) -> Iterator[str]:
    """A new namespace for this test."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    admin.create_namespace(name)
    yield name
    control_plane.recover()  # before the deletion needs it
    admin.delete_namespace(name)


@pytest.fixture
def proxy(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(control_plane, tmp_path / "proxy") as started:
        yield started
    assert not started.errors, started.errors


@pytest.fixture
def make_pod(admin: Admin, namespace: str, tmp_path: Path) -> MakePod:
    """`make_pod(name=None, **Pod.create's keywords) -> Pod`, in the test's namespace; goes away with it."""

    def make(name: str | None = None, **more: Any) -> Pod:
        name = name or f"app-{uuid.uuid4().hex[:6]}"
        return Pod.create(admin, more.pop("namespace", namespace), name, directory=tmp_path / name, **more)

    return make
