"""The official client's leader election, one thread per lease as it needs: `python benchmarks/programs/peer.py COUNT`."""

from __future__ import annotations

import os
import sys
import threading

from kubernetes.config import load_kube_config
from kubernetes.config.incluster_config import InClusterConfigLoader
from kubernetes.leaderelection.electionconfig import Config
from kubernetes.leaderelection.leaderelection import LeaderElection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]

LEASE = "peer-{:04}"


def main() -> None:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        InClusterConfigLoader(SERVICE_ACCOUNT / "token", SERVICE_ACCOUNT / "ca.crt").load_and_set()
    else:
        load_kube_config()
    namespace = (SERVICE_ACCOUNT / "namespace").read_text()
    identity = f"{os.environ['POD_NAME']}_{os.getpid()}"
    held: set[str] = set()

    def elect(lease: str) -> None:
        settings = Config(
            LeaseLock(lease, namespace, identity),
            lease_duration=15,
            renew_deadline=10,
            retry_period=2,
            onstarted_leading=lambda: held.add(lease),
            onstopped_leading=lambda: held.discard(lease),
        )
        LeaderElection(settings).run()

    for number in range(int(sys.argv[1])):
        threading.Thread(target=elect, args=(LEASE.format(number),), daemon=True).start()
    serve(held=lambda: len(held), lost=list)


if __name__ == "__main__":
    main()
