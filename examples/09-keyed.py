"""One run per tenant at a time, tenants side by side.

The problem: a web hook, a retry and a scheduler each start the synchronisation of a tenant, in any replica, and two
of one tenant at once double its orders. One lock for all would be safe, but the tenants would wait for each other.

Here each tenant has a lock of its own: the lease `sync.<tenant>`, which is there only while it is held. Run this in
two terminals, also with other tenants: `python 09-keyed.py acme zoo initech`.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from singleton_jobs import Skipped, current_term, exclusive, running

TAKES = 2.0  # seconds


@exclusive(lease="sync", key="tenant", wait=0)
def synchronise(tenant: str, page: int = 1) -> str:
    """Runs unless somebody does the same for this tenant; whatever else is passed does not matter."""
    term = current_term()
    assert term is not None  # inside a guarded function there always is one
    print(f"{tenant}: begun by {term.identity} under {term.lease}", flush=True)
    time.sleep(TAKES)
    term.check()  # before an effect: raises if the lease is not held at this very instant
    return f"{tenant}: {page} page synchronised"


def main(tenants: list[str]) -> None:
    """All tenants at once."""
    with ThreadPoolExecutor(len(tenants)) as pool:
        for tenant, outcome in zip(tenants, pool.map(synchronise, tenants), strict=True):
            print(f"{tenant}: under way elsewhere" if isinstance(outcome, Skipped) else outcome, flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), running(sigterm="exit"):
        main(sys.argv[1:] or ["acme", "zoo"])
