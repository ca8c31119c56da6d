"""Whether a file system keeps its locks."""

import os
import time
from pathlib import Path

from ..errors import StoreError

__all__ = ["require_file_locks"]


def require_file_locks(path: Path) -> None:
    """Refuse a file system on which two openers of one file can lock it at once; SQLite could not tell."""
    try:
        import fcntl
    except ImportError:  # Windows: its locks are mandatory and always there
        return
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return
    import struct

    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
    probe = path.with_name(f"{path.name}.lock-probe-{os.getpid()}-{time.monotonic_ns()}")
    try:
        with probe.open("wb") as first, probe.open("wb") as second:
            try:
                fcntl.fcntl(first, fcntl.F_OFD_SETLK, request)
            except OSError as error:
                raise StoreError(
                    f"{path.parent} cannot lock files ({error}); use another folder", outcome="not done"
                ) from error
            try:
                fcntl.fcntl(second, fcntl.F_OFD_SETLK, request)
            except BlockingIOError:
                return
            except OSError as error:
                raise StoreError(
                    f"{path.parent} cannot lock files ({error}); use another folder", outcome="not done"
                ) from error
        raise StoreError(
            f"{path.parent} lets two openers lock one file at once; use another folder", outcome="not done"
        )
    finally:
        probe.unlink(missing_ok=True)
