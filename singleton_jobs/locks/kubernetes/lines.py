"""Lines of an answer that has no end, however they are cut into pieces on their way."""

from ...errors import StoreError

__all__ = ["Lines"]

LONGEST = 4 << 20  # bytes; etcd keeps objects of up to 1.5 MB, which JSON may double


class Lines:
    """Puts lines together again."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._length = 0

    def add(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes. Raises StoreError if one is longer than any object can be."""
        first, *others = data.split(b"\n")
        self._begin(first)
        if not others:
            return []
        complete = [b"".join(self._begun), *others[:-1]]
        self._begun, self._length = [], 0
        self._begin(others[-1])
        return complete

    def end(self) -> None:
        """Raises StoreError if that was in the middle of a line."""
        if self._length:
            raise StoreError("the answer was cut in the middle of a line")

    def _begin(self, data: bytes) -> None:
        self._length += len(data)
        if self._length > LONGEST:
            raise StoreError(f"a line of more than {LONGEST} bytes")
        self._begun.append(data)
