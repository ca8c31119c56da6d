"""redis-py's locks, taken and given back as fast as it can: `python benchmarks/programs/rlocks.py PORT`."""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import Any

import redis

from protocol import Timed, serve, timed  # pyright: ignore[reportImplicitRelativeImport]


class Locker:
    """As ours are called."""

    def __init__(self, client: Any, name: str) -> None:
        self._lock = client.lock(name, timeout=15)

    def lock(self) -> bool:
        return bool(self._lock.acquire())

    def unlock(self) -> None:
        self._lock.release()


def main() -> None:
    client = redis.Redis(port=int(sys.argv[1]))
    keys = (f"{os.environ['POD_NAME']}-{number}" for number in count())

    def uncontended(seconds: str) -> Timed:
        """Each of a key of its own."""
        return timed(float(seconds), lambda: Locker(client, next(keys)))

    def contended(seconds: str) -> Timed:
        """All of the one key that others want, too."""
        locker = Locker(client, "one")
        return timed(float(seconds), lambda: locker)

    serve(uncontended=uncontended, contended=contended)


if __name__ == "__main__":
    main()
