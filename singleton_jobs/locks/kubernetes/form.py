"""What a renewal changes in the text of a Lease: all else is neither put together nor read anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from ..record import LockRecord, Stored, micro_time

__all__ = ["Form", "Routine", "Wording"]

SECONDS = "%Y-%m-%dT%H:%M:%SZ"  # how the API server writes the time of a write
WRITTEN = len("2026-11-28T12:00:00Z")


class Wording(NamedTuple):
    """A Lease to be sent, but for its version and the time of its renewal."""

    parts: tuple[str, str, str]

    @classmethod
    def of(cls, text: str, version: int, renewed: str) -> Wording | None:
        """That of ``text``; None if it is not clear where these two stand in it."""
        parts = _cut(text, f'"resourceVersion":"{version}"', f'"renewTime":"{renewed}"')
        return cls((parts[0], parts[1], parts[2])) if parts else None

    def text(self, version: int, renewed: str) -> str:
        """The same Lease with these."""
        before, between, after = self.parts
        return f'{before}"resourceVersion":"{version}"{between}"renewTime":"{renewed}"{after}'


class Form(NamedTuple):
    """A Lease as the server tells it, but for its version, the server's time of the write, and that of its renewal."""

    parts: tuple[str, str, str, str]

    @classmethod
    def of(cls, text: str, version: int, written: str, renewed: str) -> Form | None:
        """That of ``text``; None if it is not clear where these three stand in it."""
        parts = _cut(text, f'"resourceVersion":"{version}"', f'"time":"{written}"', f'"renewTime":"{renewed}"')
        if parts is None or len(written) != WRITTEN:
            return None
        before, then, between, after = parts
        return cls((f'{before}"resourceVersion":"', f'"{then}"time":"', f'"{between}"renewTime":"', f'"{after}'))

    def read(self, text: str, renewed: str) -> tuple[int, str] | None:
        """Version and time of the write, if ``text`` is of this form and tells that it was ``renewed`` then."""
        before, then, between, after = self.parts
        end = text.find('"', len(before))
        version, written = text[len(before) : end], end + len(then)
        rest = written + WRITTEN
        if (
            version.isascii()
            and version.isdecimal()
            and text.startswith(before)
            and text.startswith(then, end)
            and text[rest:] == f"{between}{renewed}{after}"
        ):
            return int(version), text[written:rest]
        return None


def _cut(text: str, *marks: str) -> list[str] | None:
    """What is before, between and after the ``marks``, each of which stands in it once, in this order."""
    parts = []
    for mark in marks:
        if text.count(mark) != 1:
            return None
        before, found, text = text.partition(mark)
        if not found:
            return None
        parts.append(before)
    return [*parts, text]


class Routine:
    """How a renewal is worded and answered, so that the next costs less; the last made ``stored``, told in ``form``."""

    def __init__(self, stored: Stored, form: Form) -> None:
        self._stored = stored
        self._form = form
        self._wording: Wording | None = None

    @classmethod
    def after(cls, stored: Stored, text: str | None) -> Routine | None:
        """After an answer's ``text`` that told of ``stored``; None if the next may look otherwise."""
        renewed, written = stored.record.renew_time, stored.written_at
        if not text or renewed is None or written is None:
            return None
        form = Form.of(text, stored.version, written.strftime(SECONDS), micro_time(renewed))
        return form and cls(stored, form)

    def serves(self, record: LockRecord, replaces: Stored, ledger: str | None) -> bool:
        """Whether to replace that with ``record`` is no more than to renew it once more."""
        last = self._stored
        return (
            ledger is None
            and record.renew_time is not None
            and replaces.version == last.version
            and replaces.uid == last.uid
            and record.hold == last.record.hold
        )

    def text(self, renewed: datetime, make: Callable[[], str]) -> str:
        """What to send; ``make`` puts it together where that is not known yet."""
        version, time = self._stored.version, micro_time(renewed)
        if self._wording:
            return self._wording.text(version, time)
        text = make()
        self._wording = Wording.of(text, version, time)
        return text

    def read(self, text: str | None, renewed: datetime, served_at: datetime | None) -> Stored | None:
        """What is stored after that was answered with ``text``; None if that has to be read in full."""
        last, time = self._stored, micro_time(renewed)
        found = text and self._form.read(text, time)
        if not found or last.raw is None:
            return None
        version, written = found
        try:
            written_at = datetime.fromisoformat(written)
        except ValueError:
            return None
        holder, duration, acquired, transitions = last.record.hold
        raw = last.raw
        self._stored = Stored(
            LockRecord(holder, duration, acquired, renewed, transitions),
            last.ledger,
            last.uid,
            version,
            served_at,
            written_at,
            raw={
                **raw,
                "metadata": {**raw["metadata"], "resourceVersion": str(version)},
                "spec": {**raw["spec"], "renewTime": time},
            },
        )
        return self._stored
