"""All watches that are asked for share what the Role allows: one of the namespace, else some of one lease each."""

import asyncio
import logging
from asyncio import AbstractEventLoop, Task, TimerHandle
from collections.abc import Callable
from functools import partial
from random import Random
from urllib.parse import quote
from weakref import WeakKeyDictionary

from ...concurrency.telling import log
from ..watching import Sight
from .board import Board
from .feed import Feed, Server
from .objects import MANAGED_BY, MANAGER

__all__ = ["OWN_WATCHES", "RETRY", "Watching"]

OWN_WATCHES = 8  # at a time; each costs a connection
LINGER = 10.0  # seconds for which the namespace is watched when nobody asks for it any more
RETRY = 300.0  # seconds until what the Role forbade is tried again

ALL = ""  # what is no lease's name
NAMESPACE = "one watch of the namespace"
OWN = "a watch of its own"
MANY = f"only {OWN_WATCHES} leases have a watch of their own"
KEYED = "*"  # what is no lease's name either: all that have to be watched alone
DENIED = "as the Role does not allow to watch them: its rule should say verbs: [get, create, update, list, watch]"

Tell = Callable[[Sight | None], None]

_said: set[str] = set()


class Watching:
    """The watches of one store, on any event loop; ``rng`` keeps replicas from coming in step."""

    def __init__(self, server: Server, namespace: str, rng: Random) -> None:
        self._server = server
        self._namespace = namespace
        self._rng = rng
        self._watchers: WeakKeyDictionary[AbstractEventLoop, _Watcher] = WeakKeyDictionary()

    def begin(self, lease: str, tell: Tell, *, alone: bool = False) -> "LeaseWatch":
        """Watch ``lease`` on the running event loop; ``alone``: the watch of the namespace does not show it."""
        loop = asyncio.get_running_loop()
        if loop not in self._watchers:
            self._watchers[loop] = _Watcher(self._server, self._namespace, self._rng)
        return LeaseWatch(self._watchers[loop], lease, tell, alone=alone)

    async def aclose(self) -> None:
        """End the running event loop's."""
        watcher = self._watchers.pop(asyncio.get_running_loop(), None)
        if watcher:
            await watcher.aclose()


class LeaseWatch:
    """One watch that somebody asked for."""

    def __init__(self, watcher: "_Watcher", lease: str, tell: Tell, *, alone: bool) -> None:
        self._watcher = watcher
        self._lease = lease
        self._tell: Tell | None = tell
        watcher.add(lease, self._told, alone=alone)

    @property
    def how(self) -> str:
        """How changes are learnt of just now."""
        return self._watcher.how(self._lease)

    def doubt(self) -> None:
        """A read has found what the watch should have told before: make it anew."""
        self._watcher.doubt(self._lease)

    def ask(self) -> None:
        """What comes during a request is most often what that has written: it is not read before."""
        self._watcher.keep_back(self._lease)

    def know(self, version: int | None) -> None:
        """It has ended, and has written ``version``, if any."""
        self._watcher.know(self._lease, version)

    def end(self) -> None:
        """Tell nothing any more."""
        if self._tell is not None:
            self._tell = None
            self._watcher.remove(self._lease, self._told)

    def _told(self, sight: Sight | None) -> None:
        if self._tell is not None:  # another's reader may have ended this one's watch
            self._tell(sight)


class _Watcher:
    """Keeps as many feeds as are of use and allowed: by lease, or the one of all that goes by the name ``""``."""

    def __init__(self, server: Server, namespace: str, rng: Random) -> None:
        self._server = server
        self._namespace = namespace
        self._rng = rng
        self._board = Board()
        self._feeds: dict[str, Feed] = {}
        self._tasks: dict[Feed, Task[None]] = {}  # those that were cancelled and have not ended yet, too
        self._by_name = False  # since the namespace's own watch was denied
        self._alone: set[str] = set()  # that are watched by name anyway
        self._denied: set[str] = set()
        self._retry: TimerHandle | None = None
        self._idle: TimerHandle | None = None

    def add(self, lease: str, tell: Tell, *, alone: bool) -> None:
        self._board.add(lease, tell)
        if alone:
            self._alone.add(lease)
        if self._is_denied(lease):
            self._board.blank([lease], DENIED)
        asyncio.get_running_loop().call_soon(self._board.repeat, lease, tell)
        self._tend()

    def remove(self, lease: str, tell: Tell) -> None:
        self._board.remove(lease, tell)
        leases, alone = self._board.leases(), lease in self._alone
        if lease not in leases:
            self._alone.discard(lease)
        if self._by_name or leases or alone:
            self._tend()
        elif self._idle is None:  # a lock that is waited for now and again should not cost a list each time
            self._idle = asyncio.get_running_loop().call_later(LINGER, self._end_idle)

    def doubt(self, lease: str) -> None:
        feed = self._feeds.get(lease if self._is_named(lease) else ALL)
        if feed:
            feed.doubt()

    def keep_back(self, lease: str) -> None:
        self._board.keep_back(lease)

    def know(self, lease: str, version: int | None) -> None:
        self._board.know(lease, version)

    def how(self, lease: str) -> str:
        why = self._board.why_not(lease)
        if why is None:
            return OWN if self._is_named(lease) else NAMESPACE
        many = self._is_named(lease) and lease not in self._feeds and not self._is_denied(lease)
        return f"polling: {MANY if many else why}"

    async def aclose(self) -> None:
        self._board.clear()
        self._tend()
        for timer in filter(None, (self._retry, self._idle)):
            timer.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks.values())
        await self._server.aclose()

    def _end_idle(self) -> None:
        self._idle = None
        self._tend()

    def _tend(self) -> None:
        """Have the feeds that should be there, and no others."""
        leases = self._board.leases()
        named = [lease for lease in leases if self._is_named(lease)]
        by_namespace = len(named) < len(leases)
        if KEYED in self._denied:
            named = [lease for lease in named if lease not in self._alone]
        kept = [lease for lease in named if lease in self._feeds or self._is_denied(lease)]
        kept += [lease for lease in named if lease not in kept][: max(0, OWN_WATCHES - len(kept))]
        wanted = [lease for lease in kept if not self._is_denied(lease)]
        if by_namespace:
            wanted.append(ALL)
        for name in [name for name in self._feeds if name not in wanted]:
            self._tasks[self._feeds.pop(name)].cancel()
        for name in [name for name in wanted if name not in self._feeds]:
            feed = self._feeds[name] = self._feed(name)
            task = self._tasks[feed] = asyncio.get_running_loop().create_task(self._run(name, feed))
            task.add_done_callback(partial(self._ended, feed))

    def _shared(self) -> list[str]:
        """What the watch of the namespace is to tell of."""
        return [lease for lease in self._board.leases() if lease not in self._alone]

    def _is_named(self, lease: str) -> bool:
        """Whether it has to have a watch of its own."""
        return self._by_name or lease in self._alone

    def _is_denied(self, lease: str) -> bool:
        return (KEYED if lease in self._alone else lease) in self._denied

    def _ended(self, feed: Feed, _: Task[None]) -> None:
        del self._tasks[feed]

    def _feed(self, name: str) -> Feed:
        selector, leases = f"labelSelector={quote(f'{MANAGED_BY}={MANAGER}', safe='')}", self._shared
        if name != ALL:
            selector, leases = f"fieldSelector={quote(f'metadata.name={name}', safe='')}", partial(list, (name,))
        settled = partial(self._settled, name)
        return Feed(
            self._server,
            self._namespace,
            selector,
            leases,
            self._board,
            self._rng,
            settled,
            all_of_it=name != ALL,
        )

    async def _run(self, name: str, feed: Feed) -> None:
        await feed.run()
        if self._feeds.get(name) is not feed:  # nobody watches it any more
            return
        del self._feeds[name]
        if name == ALL:
            self._by_name = True
        else:
            self._denied.add(KEYED if name in self._alone else name)
            self._board.blank(filter(self._is_denied, self._board.leases()), DENIED)
            _say(f"some leases in namespace {self._namespace} are polled, {DENIED}")
            self._retry = self._retry or asyncio.get_running_loop().call_later(RETRY, self._try_again)
        self._tend()

    def _try_again(self) -> None:
        self._retry = None
        self._denied.clear()
        # Where some are allowed by name, only these are asked for again.
        self._by_name = self._by_name and bool(self._feeds)
        self._tend()

    def _settled(self, name: str) -> None:
        how = f"a watch of each, of up to {OWN_WATCHES}" if name != ALL else NAMESPACE
        _say(f"changes of leases in namespace {self._namespace} are learnt by {how}")


def _say(text: str) -> None:
    """Once in this process."""
    if text not in _said:
        _said.add(text)
        log(logging.INFO, "%s", text)
