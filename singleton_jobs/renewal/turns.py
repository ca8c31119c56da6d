"""Whose request is next, where only so many are under way at a time."""

import asyncio
from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count

__all__ = ["Turns"]


class Turns:
    """So many turns at a time; of those who wait for one, who wants it earliest has it first. For one event loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: dict[Hashable, tuple[float, asyncio.Future[None]]] = {}
        self._queue: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()  # of those who want it at the same time

    async def take(self, who: Hashable, by: float) -> None:
        """Wait for a turn that is wanted ``by`` then; it is to be ended by `give_back`."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._stand(who, by, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            raise
        finally:
            del self._waiting[who]

    def hurry(self, who: Hashable, by: float) -> None:
        """Whoever waits wants it ``by`` then, if that is earlier than before."""
        before, turn = self._waiting.get(who, (by, None))
        if turn and by < before:
            self._stand(who, by, turn)

    def _stand(self, who: Hashable, by: float, turn: "asyncio.Future[None]") -> None:
        self._waiting[who] = by, turn
        heappush(self._queue, (by, next(self._order), turn))

    def give_back(self) -> None:
        """The turn is over."""
        while self._queue:
            turn = heappop(self._queue)[-1]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
