"""Who watches which lease, and what they were told last. No I/O."""

from collections.abc import Callable, Iterable

from ..watching import Sight

__all__ = ["Board", "Reader"]

Reader = Callable[[Sight | None], None]


class Board:
    """What is known of the leases that somebody watches: nobody is told anything twice, nor what is older."""

    def __init__(self) -> None:
        self._notes: dict[str, _Note] = {}

    def add(self, lease: str, reader: Reader) -> None:
        """From now on ``reader`` is told of ``lease``; see `repeat` for what is known by now."""
        self.know(lease, None)
        self._notes.setdefault(lease, _Note()).readers.append(reader)

    def remove(self, lease: str, reader: Reader) -> None:
        """Tell ``reader`` nothing any more."""
        note = self._notes.get(lease)
        if note:
            note.readers.remove(reader)
            if not note.readers:
                del self._notes[lease]

    def clear(self) -> None:
        """Tell nobody anything any more, but that."""
        for note in self._notes.values():
            if note.sight:
                note.tell(None)
            note.readers.clear()
        self._notes.clear()

    def is_news(self, lease: str, version: int) -> bool:
        """Whether somebody watches ``lease`` who does not know yet how it looks at ``version``."""
        note = self._notes.get(lease)
        return note is not None and (version > note.version or (note.sight is None and version == note.version))

    def leases(self) -> list[str]:
        """Those that somebody watches, in the order they were asked for."""
        return list(self._notes)

    def repeat(self, lease: str, reader: Reader) -> None:
        """Tell ``reader`` what the others were told already, if they do not know better by now."""
        note = self._notes.get(lease)
        if note and note.sight and note.sight.version >= note.version and reader in note.readers:
            reader(note.sight)

    def show(self, lease: str, sight: Sight) -> None:
        """Tell of it, if it is news."""
        if self.is_news(lease, sight.version):
            note = self._notes[lease]
            note.version = sight.version
            note.tell(sight)

    def keep_back(self, lease: str) -> None:
        """Who watches it need not be told before `know`."""
        note = self._notes.get(lease)
        if note:
            note.keeps_back = len(note.readers) == 1

    def keeps(self, lease: str, version: int, tell: Callable[[], None]) -> bool:
        """Whether the news of that ``version``, which ``tell`` would tell, was kept back; the newest are."""
        note = self._notes.get(lease)
        if note is None or not note.keeps_back or not note.sight:
            return False
        note.kept = version, tell
        return True

    def know(self, lease: str, version: int | None) -> None:
        """He has written ``version`` by himself; what was kept back is told if it is newer. Others are told of all."""
        note = self._notes.get(lease)
        if note is None:
            return
        if version and note.sight and len(note.readers) == 1:
            note.version = max(note.version, version)
        kept, note.kept, note.keeps_back = note.kept, None, False
        if kept and kept[0] > note.version:
            kept[1]()

    def lose(self, lease: str, version: int, why: str) -> None:
        """From ``version`` on nothing can be told of it, if that is news."""
        note = self._notes.get(lease)
        if note and version >= note.version:
            note.version = version
            self.blank([lease], why)

    def blank(self, leases: Iterable[str], why: str) -> None:
        """Nothing can be told of these for now."""
        for note in filter(None, map(self._notes.get, leases)):
            note.why, note.kept = why, None
            if note.sight:
                note.tell(None)

    def set_back(self, leases: Iterable[str]) -> None:
        """The store is another one, or one of before: its versions begin anew."""
        for note in filter(None, map(self._notes.get, leases)):
            note.version, note.kept = 0, None

    def why_not(self, lease: str) -> str | None:
        """Why nothing is told of ``lease``; None: it is."""
        note = self._notes.get(lease)
        if note is None:
            return "it is not watched any more"
        return None if note.sight else note.why


class _Note:
    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self.sight: Sight | None = None  # what all have been told
        self.version = 0  # of the newest that was told, even if it is not known any more
        self.why = "the watch has not begun yet"
        self.keeps_back = False  # the only reader makes a request
        self.kept: tuple[int, Callable[[], None]] | None = None  # a newer version, and what tells of it

    def tell(self, sight: Sight | None) -> None:
        self.sight = sight
        for reader in tuple(self.readers):
            reader(sight)
