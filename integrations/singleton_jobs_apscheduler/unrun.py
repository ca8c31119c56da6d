"""Claims whose term ended before their fires ran: those that landed may run under the next term of this process."""

from __future__ import annotations

from datetime import datetime

from singleton_jobs.decisions.ledger import INSTANT, Claim, Mark, aftermath
from singleton_jobs.renewal.fire_claims import ClaimingCandidacy

__all__ = ["Unrun"]


class Unrun:
    """What the ended terms of one candidacy have left."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, datetime], Claim] = {}

    def keep(self, claim: Claim) -> None:
        """The term of ``claim`` has ended; whether it landed is not known, or it was granted too late."""
        self._claims[(claim.job, claim.fire)] = claim

    def take(self, key: str, fire: datetime) -> Claim | None:
        """The claim for this fire, to be decided again."""
        claim = self._claims.pop((key, fire), None)
        if claim:
            claim.outcome = None
        return claim

    def since(self, key: str, mark: Mark | None, candidacy: ClaimingCandidacy) -> datetime | None:
        """Just before the first fire of ``key`` that ``mark`` stands for; what it does not stand for is forgotten."""
        since = None
        for claim in list(self._claims.values()):
            if claim.job != key:
                continue
            left = aftermath(claim, mark)
            if left == "open":
                since = min(since or claim.fire, claim.fire - INSTANT)
                continue
            del self._claims[(key, claim.fire)]
            if left == "cut":
                candidacy.interrupted(key, claim.fire, claim.nonce)
        return since
