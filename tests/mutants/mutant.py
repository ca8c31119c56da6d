"""What a mutant is."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One rule broken: in ``file`` of the shipped packages ``old``, which stands there once, becomes ``new``.

    ``tests``: files or node ids below ``tests`` that are to notice.
    """

    rule: int
    name: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
