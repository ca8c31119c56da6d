"""Holding: rules 1 to 6."""

from mutants.mutant import Mutant

CANDIDATE = "singleton_jobs/decisions/candidate.py"
CANDIDACY = "singleton_jobs/renewal/candidacy.py"
CONFIG = "singleton_jobs/config.py"
WRITER = "singleton_jobs/decisions/own_writes.py"
HOLDING = "unit/decisions/test_candidate_holding.py"
WRITING = "unit/decisions/test_candidate_writing.py"

MUTANTS = [
    Mutant(
        1,
        "anchored-at-the-answer",
        "a hold counts from the receipt of the answer",
        CANDIDATE,
        "until = sent_at + self.config.renew_deadline",
        "until = now + self.config.renew_deadline",
        (HOLDING,),
    ),
    Mutant(
        1,
        "a-read-extends",
        "a GET that shows our record extends the hold",
        CANDIDATE,
        "            else:\n                self.claims.see(stored)\n",
        "            else:\n                self.hold.until = received_at + self.config.renew_deadline\n"
        "                self.claims.see(stored)\n",
        (HOLDING,),
    ),
    Mutant(
        2,
        "late-answer-revives",
        "a 2xx that is read after the deadline extends the hold",
        CANDIDATE,
        "        self.expire(now)\n        before = self.seen\n",
        "        before = self.seen\n",
        (HOLDING,),
    ),
    Mutant(
        2,
        "loss-not-latched",
        "a failing check leaves the hold to be revived",
        CANDIDACY,
        "            self.change(lambda _: None, wake=False)\n",
        "            self.changed.notify()\n",
        ("unit/renewal/test_candidacy.py", "unit/leading/test_locker_loss.py"),
    ),
    Mutant(
        3,
        "no-margin",
        "a deadline may equal the duration",
        CONFIG,
        "margin = max(1.0, duration / 10)",
        "margin = 0.0",
        ("unit/test_config.py",),
    ),
    Mutant(
        3,
        "margin-of-a-second",
        "a long lease may have a margin of a second",
        CONFIG,
        "margin = max(1.0, duration / 10)",
        "margin = 1.0",
        ("unit/test_config.py",),
    ),
    Mutant(
        3,
        "deadline-of-one-period",
        "renew_deadline may equal retry_period",
        CONFIG,
        "if deadline <= JITTER * period:",
        "if deadline < period:",
        ("unit/test_config.py",),
    ),
    Mutant(
        3,
        "request-outlasts-the-hold",
        "a request is not clipped to what is left of the hold",
        CANDIDATE,
        "return min(self.config.request_timeout, self.held_until - now if self.hold else math.inf)",
        "return self.config.request_timeout",
        (HOLDING,),
    ),
    Mutant(
        4,
        "frozen-renew-time",
        "renewTime stands still with the wall clock",
        WRITER,
        "time = max(time, self._last[0] + max(timedelta(seconds=now - self._last[1]), MICROSECOND))",
        "time = max(time, self._last[0])",
        (WRITING,),
    ),
    Mutant(
        4,
        "renewal-of-nothing",
        "a 2xx with the version that it replaced counts",
        CANDIDATE,
        "stored.version <= self.seen.version:",
        "stored.version < self.seen.version:",
        (WRITING,),
    ),
    Mutant(
        5,
        "conflict-without-a-read",
        "a holder's 409 is met with another PUT",
        CANDIDATE,
        "self._reread = self.hold is not None",
        "self._reread = False",
        (HOLDING,),
    ),
    Mutant(
        5,
        "another-acquire-time",
        "a term goes on in a record that was acquired anew",
        "singleton_jobs/decisions/hold.py",
        "and record.acquire_time == self.acquire_time",
        "",
        (HOLDING,),
    ),
    Mutant(
        5,
        "other-transitions",
        "a term goes on in a record with other transitions",
        "singleton_jobs/decisions/hold.py",
        "and record.lease_transitions == self.transitions",
        "",
        (HOLDING,),
    ),
    Mutant(
        6,
        "lost-not-set",
        "a lost term does not set `lost`",
        "singleton_jobs/term.py",
        "        self.lost.set()\n",
        "",
        ("unit/test_term.py",),
    ),
    Mutant(
        6,
        "callbacks-on-the-renewal-thread",
        "people's callbacks run where renewals do",
        "singleton_jobs/hooks/dispatcher.py",
        'logger.exception("a callback failed on %r", event)\n\n    telling.worker.submit(task, soon=soon)\n',
        'logger.exception("a callback failed on %r", event)\n\n    task()\n',
        ("unit/leading/test_leadership.py::test_a_callback_that_takes_long_holds_up_no_renewal",),
    ),
]
