"""Ending: rules 18 to 22."""

from mutants.mutant import Mutant

CANDIDATE = "singleton_jobs/candidate.py"
CANDIDACY = "singleton_jobs/candidacy.py"
TERM = "singleton_jobs/term.py"
ENDING = "unit/test_candidate_ending.py"

MUTANTS = [
    Mutant(
        18,
        "drain-admits",
        "a drain lets new work start",
        CANDIDACY,
        "if (not self.draining or term in CURRENT_TERMS.get()) and term.is_valid:",
        "if term.is_valid:",
        ("unit/test_candidacy.py",),
    ),
    Mutant(
        18,
        "drain-does-not-renew",
        "renewals stop while a drain waits for running work",
        CANDIDACY,
        "            action = self._candidate.decide(now, self.clock.wall())\n",
        "            action = self._candidate.decide(now, self.clock.wall())\n"
        "            if self._leaving and self.active:\n"
        "                action = Wait(self.held_until)\n",
        ("unit/test_candidacy.py",),
    ),
    Mutant(
        18,
        "drain-releases-early",
        "the lease is given back while work still runs",
        CANDIDACY,
        "if self._leaving is not leaving or self.active:",
        "if self._leaving is not leaving:",
        ("unit/test_candidacy.py",),
    ),
    Mutant(
        18,
        "cut-drain-releases",
        "at the drain limit the lease is given back under running work",
        CANDIDACY,
        '            self._candidate.abandon(now, "its work did not end within the drain limit")\n',
        "            self._candidate.release(now)\n",
        ("unit/test_candidacy.py",),
    ),
    Mutant(
        18,
        "release-unchecked",
        "a release frees whatever record it fetched",
        CANDIDATE,
        "            if stored and self._is_ours(stored):\n",
        "            if stored:\n",
        (ENDING,),
    ),
    Mutant(
        18,
        "release-gives-up",
        "a release that meets a conflict does not look again",
        CANDIDATE,
        "            if self.hold or self.releasing:\n                self._next = now\n",
        "            if self.hold:\n                self._next = now\n",
        (ENDING,),
    ),
    Mutant(
        18,
        "released-but-held",
        "a release ends the term only when it was answered",
        CANDIDATE,
        '        self._end("released", "it was released", now)\n',
        "",
        (ENDING,),
    ),
    Mutant(
        19,
        "no-rest",
        "who stepped down competes again at once",
        CANDIDATE,
        "        self._rest_until = now + self._rest\n",
        "",
        (ENDING,),
    ),
    Mutant(
        19,
        "own-record-after-stepping-down",
        "who stepped down takes its own record at once",
        CANDIDATE,
        "        if released or self._rest:\n",
        "        if released:\n",
        (ENDING,),
    ),
    Mutant(
        20,
        "exit-without-release",
        "the lease is not given back when the interpreter exits",
        "singleton_jobs/replica.py",
        "        atexit.register(_at_exit)\n",
        "",
        ("unit/test_exit.py::test_a_normal_exit_gives_the_lease_back",),
    ),
    Mutant(
        20,
        "exit-releases-under-work",
        "at exit the lease is given back though work still runs",
        "singleton_jobs/candidacy.py",
        "        if leaving:\n            self._change(lambda now: self._leave(leaving, now), lost=not",
        "        if leaving:\n            self.active.clear()\n"
        "            self._change(lambda now: self._leave(leaving, now), lost=not",
        ("unit/test_exit.py::test_an_exit_while_guarded_work_runs_on_a_thread_leaves_the_lease_to_run_out",),
    ),
    Mutant(
        20,
        "sigterm-ignored",
        'running(sigterm="exit") leaves SIGTERM alone',
        "singleton_jobs/sigterm.py",
        "            signal.signal(signal.SIGTERM, self._handle)\n",
        "            pass\n",
        ("unit/test_exit.py::test_sigterm_exits_with_the_usual_status_and_gives_the_lease_back",),
    ),
    Mutant(
        21,
        "child-holds",
        "a term stays valid in a forked child",
        TERM,
        "        self._pid = os.getpid()\n",
        "        self._pid = os.getpid()\n        os.register_at_fork(after_in_child=lambda: setattr(self, '_pid', os.getpid()))\n",
        ("unit/test_fork.py::test_an_inherited_term_is_invalid",),
    ),
    Mutant(
        21,
        "child-is-the-parent",
        "a forked child keeps its parent's identity",
        "singleton_jobs/replica.py",
        "        _inherited.append((self._wiring, self._candidacies()))\n        self._start_anew()\n",
        "        _inherited.append((self._wiring, self._candidacies()))\n"
        "        wiring = self._wiring\n        self._start_anew()\n        self._wiring = wiring\n",
        ("unit/test_fork.py::test_the_child_has_an_identity_of_its_own",),
    ),
    Mutant(
        21,
        "child-without-a-thread",
        "a forked child waits for the thread that stayed with its parent",
        "singleton_jobs/renewer.py",
        "        _inherited.append(_shared)\n        _shared = None\n",
        "        _inherited.append(_shared)\n",
        ("unit/test_fork.py::test_the_child_competes_with_its_parent",),
    ),
    Mutant(
        22,
        "greenlet-renews",
        "under gevent the renewals are on a greenlet",
        "singleton_jobs/threads.py",
        '    if patch:\n        _native("start_new_thread")(target, ())\n    else:\n',
        "    if True:\n",
        ("unit/test_cooperative.py::test_a_greenlet_that_never_yields_does_not_starve_the_renewals",),
    ),
]
