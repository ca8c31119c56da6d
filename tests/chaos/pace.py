"""How fast this machine is just now: a second of chaos may take several of its seconds, and all is stretched alike."""

from __future__ import annotations

import http.client
import math
import ssl
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from controlplane.proxy import Proxy

from chaos.log import Line
from chaos.stage import Stage

REQUESTS = 60  # that a storm makes in a retry period of 0.4 s, about
COMFORTABLE = 0.08  # seconds for them on a machine that does nothing else, as the storm itself takes most of it
CONNECTIONS = 6
ROUNDS = 6
SLOWEST = 8


def measure(stage: Stage) -> int:
    """So many seconds are one of the storm's: 1 where a retry period's requests take a part of it, up to 8."""
    folder = stage.directory / f"pace-{uuid.uuid4().hex[:8]}"
    with Proxy(stage.control_plane, folder / "proxy") as proxy, ThreadPoolExecutor(CONNECTIONS) as pool:
        took = sorted(_round(stage, proxy, pool) for _ in range(ROUNDS))
    typical = took[ROUNDS // 2]
    pace = min(SLOWEST, max(1, math.ceil(typical / COMFORTABLE)))
    print(
        f"{REQUESTS} requests on {CONNECTIONS} new connections take {typical:.2f} s here: "
        f"a second of what follows takes {pace} s, leases and faults alike",
        flush=True,
    )
    return pace


def _round(stage: Stage, proxy: Proxy, pool: ThreadPoolExecutor) -> float:
    began = time.monotonic()
    for done in [pool.submit(_ask, stage, proxy) for _ in range(CONNECTIONS)]:
        done.result()
    return time.monotonic() - began


def _ask(stage: Stage, proxy: Proxy) -> None:
    where = urlsplit(proxy.url)
    connection = http.client.HTTPSConnection(
        str(where.hostname), where.port, context=ssl.create_default_context(cafile=str(proxy.ca_file)), timeout=60
    )
    for _ in range(REQUESTS // CONNECTIONS):
        connection.request(
            "GET",
            "/apis/coordination.k8s.io/v1/namespaces/default/leases/none",
            headers={"Authorization": f"Bearer {stage.control_plane.admin_token}"},
        )
        connection.getresponse().read()
    connection.close()


def at_pace(lines: Iterable[Line], pace: int) -> list[Line]:
    """The same log as if the machine were so many times as fast."""
    return [
        {**line, **{name: line[name] / pace for name in ("at", "until", "seconds") if name in line}} for line in lines
    ]
