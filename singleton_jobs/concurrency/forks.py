"""Forks: what a child has to forget of its parent, whoever forked it.

Python's hooks see only forks that Python makes. A server in C (uWSGI) makes its own, of which the child knows nothing
until it is asked: so whatever is about to use a thread, a connection or a candidacy asks `notice_fork` before.

What it asks is the process's `home`: a page of memory that Linux wipes in every child, however it was forked. To look
there takes no system call, and no child in a namespace of its own can have the same, as it may have its parent's pid.
"""

from __future__ import annotations

import _thread
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

__all__ = ["Numbered", "at_fork", "home", "notice_fork"]

WIPE_ON_FORK = 18  # MADV_WIPEONFORK, since Linux 4.14
NO_ADVICE = -1  # that none has


class Numbered:
    """A home known by the process's number, where no memory is wiped."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, at: int) -> bool:
        return os.getpid() == self._pid


def home() -> mmap | Numbered:
    """What has something true at 0 where it is asked in this process, and something false in all forked from it."""
    global _home
    notice_fork()
    if isinstance(_home, Numbered):  # a page is made at the first use: mmap takes a while to import
        _home = _new_home()
    return _home


def notice_fork() -> None:
    """Call the hooks if this is a child in which nobody has yet."""
    if not _home[0]:
        with _mutexes.setdefault(os.getpid(), _thread.allocate_lock()):
            if not _home[0]:
                _begin()


def _new_home() -> mmap | Numbered:
    if sys.platform == "linux":
        import mmap

        try:
            page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(WIPE_ON_FORK)
        except OSError:  # an old kernel
            return Numbered()
        try:
            page.madvise(NO_ADVICE)
        except OSError:
            page[0] = 1
            return page
    return Numbered()  # also under an emulator that takes any advice, and heeds none


_home: mmap | Numbered = Numbered()
_hooks: list[Callable[[], object]] = []
_mutexes = {os.getpid(): _thread.allocate_lock()}  # each process has its own: its parent's may have been taken


def at_fork(hook: Callable[[], object]) -> None:
    """Call ``hook()`` in every child, after all hooks that were there before."""
    _hooks.append(hook)


def _begin() -> None:
    global _home
    for hook in tuple(_hooks):
        hook()
    _home = Numbered()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin)  # whatever its number: in a namespace of its own it may be its parent's
