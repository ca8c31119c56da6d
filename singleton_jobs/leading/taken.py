"""Lockers that are taken: a lock lasts, whoever forgets its locker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .locker_part import LockerPart

__all__ = ["Taken"]

SMALL = 64


class Taken:
    """Keeps lockers while they are used. Nobody says so of one whose end was interrupted: such are found by and by."""

    def __init__(self) -> None:
        self._parts: set[LockerPart] = set()
        self._most = SMALL  # with more, it is looked which are used

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, part: LockerPart) -> None:
        """``part`` is used from now on."""
        self._parts.add(part)
        if len(self._parts) > self._most:
            for each in self._parts.copy():
                if not each.in_use:
                    self._parts.discard(each)
            self._most = 2 * len(self._parts) + SMALL

    def discard(self, part: LockerPart) -> None:
        """It is not, any more."""
        self._parts.discard(part)
