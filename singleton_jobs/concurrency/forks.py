"""Forks: what a child has to forget of its parent, whoever forked it.

Python's hooks see only forks that Python makes. A server in C (uWSGI) makes its own, of which the child knows nothing
until it is asked: so whatever is about to use a thread, a connection or a candidacy asks `notice_fork` before.
"""

import _thread
import os
from collections.abc import Callable

__all__ = ["at_fork", "notice_fork"]

_pid = os.getpid()
_hooks: list[Callable[[], object]] = []
_mutexes = {_pid: _thread.allocate_lock()}  # each process has one of its own: its parent's may have been taken


def at_fork(hook: Callable[[], object]) -> None:
    """Call ``hook()`` in every child, after all hooks that were there before."""
    _hooks.append(hook)


def notice_fork() -> None:
    """Call the hooks if this is a child in which nobody has yet."""
    pid = os.getpid()
    if pid != _pid:
        with _mutexes.setdefault(pid, _thread.allocate_lock()):
            if pid != _pid:
                _begin()


def _begin() -> None:
    global _pid
    for hook in tuple(_hooks):
        hook()
    _pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin)  # whatever its number: in a namespace of its own it may be its parent's
