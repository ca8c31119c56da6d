"""Blocks: the ``with`` blocks that are in a lock, of threads and of coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..term import CURRENT_TERMS, Term

if TYPE_CHECKING:
    from ..renewal.entries import Use
    from .cancellation import Cancellation

__all__ = ["Blocks", "leave_term"]


class Blocks:
    """Each by the use of the lock that it was entered with."""

    def __init__(self) -> None:
        self._uses: dict[Term, Use] = {}
        self._cancellations: dict[Use, Cancellation] = {}
        self._early: dict[object, Use] = {}  # by caller: unlocked in its block, whose end is yet to come, or never does

    def enter(self, use: Use, term: Term) -> None:
        """What runs here from now on is under ``term``."""
        CURRENT_TERMS.set((*CURRENT_TERMS.get(), term))
        self._early.pop(use.caller, None)
        self._uses[term] = use

    def cancel_on_loss(self, use: Use, term: Term) -> None:
        """Cancel the block, which the running task is in, when its term is lost."""
        from .cancellation import Cancellation

        self._cancellations[use] = Cancellation(term).__enter__()

    def cancellation(self, use: Use | None) -> Cancellation | None:
        """What cancels the block on loss; None if nothing does any more."""
        return self._cancellations.get(use) if use else None

    def unlocked(self, use: Use) -> None:
        """Its lock was given back before the block ended, so that end is no other block's."""
        if use.term in self._uses:
            del self._uses[use.term]
            self._early[use.caller] = use
        leave_term(use)

    def forget(self, use: Use) -> None:
        """The block has ended."""
        if use.term is not None:
            self._uses.pop(use.term, None)
        if self._early.get(use.caller) is use:
            del self._early[use.caller]
        self._cancellations.pop(use, None)
        leave_term(use)

    def innermost(self, held: Term | None, me: object) -> Use | None:
        """The block that ends here, perhaps on another thread than it began on; ``held``: the lock's present term."""
        here = [term for term in CURRENT_TERMS.get() if term in self._uses]
        if not here and me in self._early:
            return self._early[me]
        last = here[-1] if here else held if held in self._uses else next(iter(self._uses), None)
        return self._uses[last] if last else None


def leave_term(use: Use) -> None:
    """What runs here is not under the term of ``use`` any more."""
    CURRENT_TERMS.set(tuple(term for term in CURRENT_TERMS.get() if term is not use.term))
