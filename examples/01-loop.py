"""A report in a plain loop.

The problem: the program runs as three replicas, so every report is sent three times.

Here one replica holds the lease `nightly-report` and sends; in the others the guarded call returns at once, without
doing anything. Run this in two terminals: one prints reports. Stop that one, with Ctrl-C or `kill`: it gives the
lease back, and the other goes on within three seconds.
"""

import time
from contextlib import suppress

from singleton_jobs import current_term, leader_only, running

EVERY = 1.0  # seconds; a nightly report would wait for the night


@leader_only(lease="nightly-report")
def send_report(number: int) -> None:
    """Runs on the leader only; the term's fencing token is its proof, which a mail gateway could ask for."""
    term = current_term()
    assert term is not None  # inside a guarded function there always is one
    print(f"report {number} sent by {term.identity} (fencing token {term.fencing_token})", flush=True)


def main() -> None:
    """Call it in every replica, as if there were only one."""
    number = 0
    while True:
        number += 1
        send_report(number)
        time.sleep(EVERY)


if __name__ == "__main__":
    # Kubernetes ends pods with SIGTERM, on which Python would stop without giving the lease back.
    with suppress(KeyboardInterrupt), running(sigterm="exit"):
        main()
