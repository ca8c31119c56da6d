"""Claims whose term ended before their fires ran: those that landed may run under the next term of this process."""

from datetime import datetime
from typing import Generic, TypeVar

from ..decisions.ledger import Claim, Mark, aftermath
from .fire_claims import ClaimingCandidacy

__all__ = ["Leftovers"]

C = TypeVar("C", bound=Claim)


class Leftovers(Generic[C]):
    """What the ended terms of one candidacy have left."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, datetime], C] = {}

    def keep(self, *claims: C) -> None:
        """The term of ``claims`` has ended; whether they landed is not known, or they were granted too late."""
        self._claims.update({(claim.job, claim.fire): claim for claim in claims})

    def take(self, job: str, fire: datetime | None = None) -> C | None:
        """The claim for ``fire`` (None: for any) of ``job``, to be decided again; None if there is none."""
        for claim in self._claims.values():
            if claim.job == job and fire in (None, claim.fire):
                del self._claims[(job, claim.fire)]
                claim.outcome = None
                return claim
        return None

    def open(self, job: str, mark: Mark | None, candidacy: ClaimingCandidacy) -> list[C]:
        """The claims whose fires may still run here, by the present ``mark`` of ``job``.

        The others are forgotten; ``candidacy`` tells of fires that were claimed and will not run.
        """
        still_open = []
        for claim in [claim for claim in self._claims.values() if claim.job == job]:
            left = aftermath(claim, mark)
            if left == "open":
                still_open.append(claim)
                continue
            del self._claims[(job, claim.fire)]
            if left == "cut":
                candidacy.interrupted(job, claim.fire, claim.nonce)
        return still_open

    def give_up(self, candidacy: ClaimingCandidacy) -> None:
        """No claim is decided again; ``candidacy`` tells of fires that were granted and will not run."""
        for claim in self._claims.values():
            if claim.outcome == "granted":
                candidacy.interrupted(claim.job, claim.fire, claim.nonce)
        self._claims.clear()
