"""Attempts at fires that run again: rule 32."""

from mutants.mutant import Mutant

LEDGER = "singleton_jobs/decisions/ledger.py"
CLAIMS = "singleton_jobs/decisions/open_claims.py"
CLAIMING = "singleton_jobs/renewal/fire_claims.py"
RERUNS = "singleton_jobs/reruns.py"
LEADERSHIP = "singleton_jobs/leading/leadership.py"
MIXIN = "singleton_jobs_celery/mixin.py"
ATTEMPTS = ("unit/decisions/test_attempts.py",)
GUARDS = ("unit/guards/test_reruns.py",)

MUTANTS = [
    Mutant(
        32,
        "attempt-made-twice",
        "an attempt that another replica has followed is followed once more",
        LEDGER,
        'return None if mark and claim.after in mark.attempts else "refused"',
        "return None",
        ATTEMPTS,
    ),
    Mutant(
        32,
        "followed-and-granted",
        "the first claim of a fire that another replica runs again is granted all the same",
        LEDGER,
        "for attempt in mark.attempts] if self.repeats else [mark.nonce]",
        "for attempt in mark.attempts] + [mark.nonce]",
        ATTEMPTS,
    ),
    Mutant(
        32,
        "attempts-overwritten",
        "the claim of a later fire forgets the attempts under way",
        LEDGER,
        "latest.runs, before + begun, ",
        "latest.runs, begun, ",
        ATTEMPTS,
    ),
    Mutant(
        32,
        "two-in-one-write",
        "of two that follow one attempt both are carried",
        LEDGER,
        "        if claim.after and mark and claim.after in mark.attempts:",
        "        if claim.after and mark:",
        ATTEMPTS,
    ),
    Mutant(
        32,
        "own-run-is-cut",
        "a run that goes on in this very process is taken for one that was cut short",
        CLAIMS,
        "if not self.is_ours(job, each.nonce)]",
        "if True]",
        ATTEMPTS,
    ),
    Mutant(
        32,
        "end-told-late",
        "a run that has ended runs again if its process dies before the next renewal",
        CLAIMS,
        "max(self._from, self._not_before) if self._open or self._urgent else math.inf",
        "max(self._from, self._not_before) if self._open else math.inf",
        ATTEMPTS,
    ),
    Mutant(
        32,
        "end-forgotten",
        "an end that comes during a write is told with the next renewal only",
        CLAIMS,
        "        self.see(stored)\n        self._hurry()\n\n    def end",
        "        self.see(stored)\n\n    def end",
        ATTEMPTS,
    ),
    Mutant(
        32,
        "never-given-up",
        "a fire that has had its attempts neither runs again nor is given up",
        CLAIMING,
        "            if attempt.number >= most:\n",
        "            if attempt.number > most:\n",
        GUARDS,
    ),
    Mutant(
        32,
        "failures-repeated",
        "a run that raised runs again",
        RERUNS,
        "any(kind.__name__ in ENDS for kind in type(error).__mro__)",
        "True",
        GUARDS,
    ),
    Mutant(
        32,
        "loss-is-a-failure",
        "a run that found its term lost is taken for one that has failed",
        RERUNS,
        "return not term.is_valid or any(",
        "return any(",
        GUARDS,
    ),
    Mutant(
        32,
        "clean-exit-repeated",
        "a run that ends its program well runs again",
        RERUNS,
        "(isinstance(error, SystemExit) and not error.code)",
        "False",
        GUARDS,
    ),
    Mutant(
        32,
        "own-terms-forgotten",
        "what this process has claimed by hand under an earlier term is never to be claimed again",
        LEADERSHIP,
        "                candidacy.fires.interrupted(claim)\n",
        "                pass\n",
        ("unit/leading/test_interrupted_claims.py",),
    ),
    Mutant(
        32,
        "resend-kept-for-its-time",
        "a fire to be sent again under the next term waits for its entry to be due",
        MIXIN,
        "if untouched and not sending.planned.after:",
        "if untouched:",
        ("unit/celery/beat/test_resends.py",),
    ),
    Mutant(
        32,
        "senseless-resend",
        "a message that cannot be made is tried again and again",
        MIXIN,
        "again=not sending.failed",
        "again=True",
        ("unit/celery/beat/test_resends.py",),
    ),
]
