"""Coroutine tests, and the shelf that a resource lock's leases stand on."""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.shelves import LeaseShelf, MemoryShelf, Shelf, SQLiteShelf
from controlplane.pod import lease_role
from controlplane.proxy import Proxy
from controlplane.server import Served


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    shelf: Shelf = pyfuncitem.funcargs["shelf"]

    async def test() -> None:
        try:
            await pyfuncitem.obj(**arguments)
        finally:
            await shelf.aclose()

    asyncio.run(test())
    return True


@pytest.fixture(params=["memory", "sqlite", pytest.param("lease", marks=pytest.mark.e2e)])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    if request.param == "memory":
        yield MemoryShelf()
    elif request.param == "sqlite":
        sqlite = SQLiteShelf(request.getfixturevalue("tmp_path") / "leases.sqlite3")
        yield sqlite
        sqlite.close()
    else:
        yield request.getfixturevalue("lease_shelf")


@pytest.fixture
def proxy(control_plane: Served, tmp_path: Path) -> Iterator[Proxy]:
    """With certificates like those of older clusters, which newer Pythons refuse unless they are told otherwise."""
    with Proxy(control_plane, tmp_path / "proxy", identifiers=False) as started:
        yield started
    assert not started.errors, started.errors


@pytest.fixture
def lease_shelf(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LeaseShelf:
    proxy = request.getfixturevalue("proxy")
    roles = [lease_role(), lease_role(name="keyed", verbs=["delete"])]
    pod = request.getfixturevalue("make_pod")(server=proxy, roles=roles)
    monkeypatch.setenv("KUBECONFIG", str(pod.kubeconfig))
    return LeaseShelf(request.getfixturevalue("admin"), pod.namespace, proxy)
