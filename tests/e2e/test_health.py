"""The documented liveness checks: they fail when the renewal thread is stuck, and pass when the API server is away."""

from __future__ import annotations

import re
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cli.program import Program, wait_until
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).resolve().parents[2] / "docs"


def recipe(page: str, mark: str) -> str:
    """The documented snippet that has ``mark`` in it."""
    [code] = [
        code for code in re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S) if mark in code
    ]
    return code


# Around each recipe: a candidacy, a way to make the renewal thread stuck, and a port where it has none.
BEFORE = """
import signal, time
from singleton_jobs import leadership, replica as stuck
stuck.STUCK_AFTER = 1.0
"""
AFTER = """
from singleton_jobs.renewal.renewer import shared_renewer
leadership("nightly").start()
signal.signal(signal.SIGUSR1, lambda *_: shared_renewer()._loop.call_soon_threadsafe(time.sleep, 60))
print("ready", flush=True)
"""
SERVED = {
    "a loop": ("operations.md", "class Livez", "time.sleep(600)"),
    "FastAPI": (
        "fastapi.md",
        '@app.get("/livez")',
        "import uvicorn; s = uvicorn.Config(app, port=0).bind_socket(); "
        "print(f'http://127.0.0.1:{s.getsockname()[1]}/livez', flush=True); "
        "uvicorn.Server(uvicorn.Config(app)).run(sockets=[s])",
    ),
    "Django": (
        "django.md",
        "def livez",
        "from wsgiref.simple_server import make_server; from django.core.handlers.wsgi import WSGIHandler; "
        "from django.urls import path; import types, sys; "
        "urls = types.ModuleType('urls'); urls.urlpatterns = [path('livez', livez)]; sys.modules['urls'] = urls; "
        "settings.ROOT_URLCONF = 'urls'; settings.ALLOWED_HOSTS = ['*']; s = make_server('', 0, WSGIHandler()); "
        "print(f'http://127.0.0.1:{s.server_port}/livez', flush=True); s.serve_forever()",
    ),
}


def status(url: str) -> int:
    try:
        return urllib.request.urlopen(url, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:  # it does not serve yet
        return 0


@pytest.mark.parametrize("where", SERVED)
def test_a_stuck_renewer_fails_it_and_an_outage_does_not(
    where: str, make_pod: MakePod, proxy: Proxy, tmp_path: Path
) -> None:
    page, mark, serve = SERVED[where]
    code = "\n".join((BEFORE, recipe(page, mark), AFTER, serve))
    with Program([sys.executable, "-c", code], tmp_path, **make_pod("pod-a", server=proxy).env) as program:
        program.wait_for("ready")
        program.wait_for("/livez")
        url = re.search(r"http://127.0.0.1:\d+/livez", program.output)[0]  # type: ignore[index]
        wait_until(lambda: proxy.count("PUT") > 0, 10, lambda: program.output)
        wait_until(lambda: status(url) == 200, 10, lambda: program.output)
        proxy.partition()
        for _ in range(3):
            assert status(url) == 200
        program.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: status(url) == 503, 20, lambda: program.output)
