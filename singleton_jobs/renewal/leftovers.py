"""Claims whose term ended before their fires ran: those that landed may run under the next term of this process."""

from datetime import datetime
from typing import Generic, TypeVar

from ..decisions.ledger import Claim, Mark, aftermath
from .fire_claims import FireClaims

__all__ = ["Leftovers"]

C = TypeVar("C", bound=Claim)


class Leftovers(Generic[C]):
    """What the ended terms of one candidacy have left."""

    def __init__(self) -> None:
        self._claims: dict[str, dict[datetime, C]] = {}  # by job and fire

    def keep(self, *claims: C) -> None:
        """The term of ``claims`` has ended; whether they landed is not known, or they were granted too late."""
        for claim in claims:
            self._claims.setdefault(claim.job, {})[claim.fire] = claim

    def take(self, job: str, fire: datetime | None = None) -> C | None:
        """The claim for ``fire`` (None: for the earliest) of ``job``, to be decided again; None if there is none."""
        claims = self._claims.get(job)
        claim = claims.pop(fire or min(claims), None) if claims else None
        if claim:
            claim.outcome = None
        return claim

    def open(self, job: str, mark: Mark | None, fires: FireClaims) -> list[C]:
        """The claims whose fires may still run here, by the present ``mark`` of ``job``.

        The others are forgotten; ``fires`` tells of fires that were claimed and will not run.
        """
        claims = self._claims.get(job, {})
        for claim in tuple(claims.values()):
            left = aftermath(claim, mark)
            if left != "open":
                del claims[claim.fire]
            if left == "cut":
                fires.interrupted(claim)
        return sorted(claims.values(), key=lambda claim: claim.fire)

    def give_up(self, fires: FireClaims) -> None:
        """No claim is decided again; ``fires`` tells of fires that were granted and will not run."""
        left, self._claims = self._claims, {}
        for claims in left.values():
            for claim in claims.values():
                if claim.outcome == "granted":
                    fires.interrupted(claim)
