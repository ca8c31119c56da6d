"""The official client, writing one lease as fast as it can: `python benchmarks/programs/puts.py`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from kubernetes.client import CoordinationV1Api, V1Lease, V1LeaseSpec, V1ObjectMeta
from kubernetes.config.incluster_config import InClusterConfigLoader

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]

LEASE = "peer-puts"


def main() -> None:
    InClusterConfigLoader(SERVICE_ACCOUNT / "token", SERVICE_ACCOUNT / "ca.crt").load_and_set()
    namespace = (SERVICE_ACCOUNT / "namespace").read_text()
    api = CoordinationV1Api()
    spec = V1LeaseSpec(holder_identity="peer", lease_duration_seconds=15)
    lease = api.create_namespaced_lease(namespace, V1Lease(metadata=V1ObjectMeta(name=LEASE), spec=spec))

    def puts(times: str) -> tuple[int, float]:
        """How many writes were made, and in how many seconds."""
        nonlocal lease
        began = time.perf_counter()
        for _ in range(int(times)):
            lease.spec.renew_time = datetime.now(UTC)
            lease = api.replace_namespaced_lease(LEASE, namespace, lease)
        return int(times), time.perf_counter() - began

    serve(puts=puts)


if __name__ == "__main__":
    main()
