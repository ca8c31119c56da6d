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
from .binary import ControlPlaneMissing, Programs, find_or_build
from .pod import Pod
from .proxy import Proxy
from .server import ControlPlane, Served
from .shared import shared_control_plane

MakePod = Callable[..., Pod]


@pytest.fixture(scope="session")
def server_programs(request: pytest.FixtureRequest) -> Programs:
    """etcd and kube-apiserver, built first if need be."""
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    required = os.environ.get("SINGLETON_JOBS_REQUIRE_E2E") == "1"
    # A build takes minutes and says so: what is printed here must be seen at once.
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        try:
            return find_or_build()
        except ControlPlaneMissing as error:
            if required:
                raise
            print(f"\n*** NO END-TO-END TESTS: {error}", file=sys.stderr, flush=True)
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def shared_server(server_programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One etcd and API server for all processes of this run."""
    of_process = tmp_path_factory.getbasetemp()
    of_run = of_process.parent if "PYTEST_XDIST_WORKER" in os.environ else of_process
    with shared_control_plane(of_run / "controlplane", server_programs) as served:
        yield served


@pytest.fixture(scope="module")
def own_server(server_programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One for this process and module alone."""
    with ControlPlane(tmp_path_factory.mktemp("controlplane"), server_programs) as started:
        yield started


@pytest.fixture
def control_plane(request: pytest.FixtureRequest) -> Served:
    """The server that everybody uses; one to break, as a ControlPlane, for tests marked ``own_control_plane``."""
    served: Served = request.getfixturevalue(
        "own_server" if request.node.get_closest_marker("own_control_plane") else "shared_server"
    )
    return served


@pytest.fixture
def admin(control_plane: Served) -> Iterator[Admin]:
    yield Admin(control_plane, control_plane.admin_token)
    control_plane.recover()


@pytest.fixture
def namespace(control_plane: Served, admin: Admin) -> Iterator[str]:
    """A new namespace for this test."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    admin.create_namespace(name)
    yield name
    control_plane.recover()  # before the deletion needs it
    admin.delete_namespace(name)


@pytest.fixture
def proxy(control_plane: Served, tmp_path: Path) -> Iterator[Proxy]:
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
