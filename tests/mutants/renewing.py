"""The thread that renews: rules 1, 6 and 14 as far as they rest on its schedule."""

from mutants.mutant import Mutant

RENEWER = "singleton_jobs/renewal/renewer.py"

MUTANTS = [
    Mutant(
        5,
        "no-retry-after-a-fault",
        "a candidacy whose step raised is never served again",
        RENEWER,
        "            due = self._clock.now() + candidacy.config.retry_period\n",
        "            due = math.inf\n",
        ("simulation/test_long_runs.py::test_a_candidacy_whose_step_raises_is_tried_again",),
    ),
    Mutant(
        6,
        "no-sweep",
        "a hold that ends while its requests queue is not told of in time",
        RENEWER,
        "                self._watch_deadline(candidacy, loop)\n",
        "",
        ("simulation/test_long_runs.py::test_losses_are_told_in_time_though_requests_queue_behind_a_hanging_store",),
    ),
    Mutant(
        1,
        "asks-no-more",
        "the renewer does not come back to a candidacy that waits",
        RENEWER,
        "            self._timers[candidacy] = loop.call_at(loop.time() + delay, self._serve_soon, candidacy, patience)\n",
        "            pass\n",
        ("simulation/test_seeds.py",),
    ),
    Mutant(
        1,
        "dated-by-the-answer",
        "a send is dated when its answer comes",
        "singleton_jobs/renewal/candidacy.py",
        "        sent_at = self.clock.now()\n        request = self.candidate.doing\n"
        "        self.following.ask()\n        read = wrote = None\n        try:\n"
        "            outcome = await send(action, self._lock, self.candidate.patience(sent_at))\n",
        "        request = self.candidate.doing\n"
        "        self.following.ask()\n        read = wrote = None\n        try:\n"
        "            outcome = await send(action, self._lock, self.candidate.patience(self.clock.now()))\n"
        "            sent_at = self.clock.now()\n",
        ("simulation/test_seeds.py",),
    ),
    Mutant(
        12,
        "woken-in-vain",
        "who is woken in the midst of a step sleeps on after it",
        "singleton_jobs/renewal/renewer.py",
        "if due > by and candidacy not in self._again:",
        "if due > by:",
        ("unit/renewal/test_renewer.py",),
    ),
]
