"""Watching: rule 31."""

from mutants.mutant import Mutant

CANDIDATE = "singleton_jobs/decisions/candidate.py"
FOLLOWING = "singleton_jobs/renewal/following.py"
PACE = "singleton_jobs/decisions/pace.py"
FEED = "singleton_jobs/locks/kubernetes/feed.py"
BOARD = "singleton_jobs/locks/kubernetes/board.py"
PROGRESS = "singleton_jobs/locks/kubernetes/progress.py"
OBJECTS = "singleton_jobs/locks/kubernetes/objects.py"
LINES = "singleton_jobs/locks/kubernetes/lines.py"
WATCHER = "singleton_jobs/locks/kubernetes/watcher.py"
TOLD = "unit/decisions/test_candidate_told.py"
FOLLOWED = "unit/renewal/test_following.py"
STREAMS = "unit/locks/kubernetes/test_watching.py"
PROGRESSES = "unit/locks/kubernetes/test_progress.py"
LINED = "unit/locks/kubernetes/test_lines.py"

MUTANTS = [
    Mutant(
        31,
        "sight-extends",
        "a watch event extends a hold",
        CANDIDATE,
        "            self._saw(stored, now)\n",
        "            self._saw(stored, now)\n"
        "            if self.hold:\n                self.hold.until = now + self.config.renew_deadline\n",
        (TOLD,),
    ),
    Mutant(
        31,
        "sight-tells-time",
        "the host's clock is compared with the date of a watch event",
        CANDIDATE,
        "            self._saw(stored, now)\n",
        "            self.saw(stored, now)\n",
        (TOLD,),
    ),
    Mutant(
        31,
        "old-sight-counts",
        "a version that is older than what was seen is believed",
        CANDIDATE,
        "return sight.version < before.version or (refused",
        "return (refused",
        (TOLD,),
    ),
    Mutant(
        31,
        "echo-spares-the-read",
        "what was refused as old is believed when the watch repeats it",
        CANDIDATE,
        " or (refused and sight.version == before.version)",
        "",
        (TOLD,),
    ),
    Mutant(
        31,
        "edits-starve-renewals",
        "each edit that is told puts a renewal off that had met conflicts",
        CANDIDATE,
        "if reread and self._conflicts > PATIENT_CONFLICTS:",
        "if self._conflicts > PATIENT_CONFLICTS:",
        (TOLD,),
    ),
    Mutant(
        27,
        "told-of-no-time",
        "whoever has only been told for long takes a lease with fires whatever its clock says",
        CANDIDATE,
        "return Read() if ask else self._acquisition(now, wall)",
        "return self._acquisition(now, wall)",
        (TOLD,),
    ),
    Mutant(
        31,
        "label-is-a-deletion",
        "a lease that has lost its label is taken for deleted",
        FEED,
        "elif change.sight.stored is None and not self._all_of_it:",
        "elif False:",
        (STREAMS,),
    ),
    Mutant(
        31,
        "no-poll-beneath",
        "whoever is told asks no more",
        PACE,
        "return self._config.lease_duration / 2 if self.told",
        "return 1e9 if self.told",
        (TOLD,),
    ),
    Mutant(
        31,
        "asks-as-before",
        "whoever is told asks as often as without",
        PACE,
        "return self._config.lease_duration / 2 if self.told else self._look()",
        "return self._look()",
        (TOLD,),
    ),
    Mutant(
        31,
        "release-by-sight",
        "a release is judged by a watch that may lag",
        CANDIDATE,
        "elif not self.releasing and not (before",
        "elif not (before",
        (TOLD,),
    ),
    Mutant(
        31,
        "sight-interrupts",
        "a sight is acted on while a request is under way",
        FOLLOWING,
        "        if self._asking:\n",
        "        if False:\n",
        (FOLLOWED,),
    ),
    Mutant(
        31,
        "never-in-doubt",
        "a watch that has not told what a read finds is believed on",
        FOLLOWING,
        "read.version > self._told >= 0",
        "False",
        (FOLLOWED,),
    ),
    Mutant(
        31,
        "list-version-unused",
        "a watch does not begin where its list ends",
        FEED,
        "resourceVersion={self._progress.version}",
        "resourceVersion=0",
        (STREAMS,),
    ),
    Mutant(
        31,
        "break-untold",
        "nobody is told that a watch is broken, and all go on as if it told",
        FEED,
        "                self._board.blank(self._leases(), why)\n",
        "                pass\n",
        (STREAMS,),
    ),
    Mutant(
        31,
        "absent-by-label",
        "a lease that the namespace's watch does not select is said not to exist",
        FEED,
        "            elif self._all_of_it:\n",
        "            elif True:\n",
        (STREAMS,),
    ),
    Mutant(
        31,
        "doubt-unheard",
        "a watch that is doubted goes on",
        FEED,
        "            limit.reschedule(0)\n",
        "            pass\n",
        (STREAMS,),
    ),
    Mutant(
        31,
        "older-told",
        "what is older than what was told before is told",
        BOARD,
        "sight.version < note.version or (note.sight",
        "(note.sight",
        (STREAMS,),
    ),
    Mutant(
        31,
        "version-goes-back",
        "a watch goes on from an older version than it has told",
        PROGRESS,
        "self.version = self._newest = max(self._newest, version)",
        "self.version = self._newest = version",
        (PROGRESSES,),
    ),
    Mutant(
        31,
        "410-is-a-failure",
        "a version that has expired is no reason for a list at once",
        OBJECTS,
        "    if answer.status == 410:\n",
        "    if False:\n",
        (STREAMS,),
    ),
    Mutant(
        31,
        "in-step",
        "whoever lost its watch comes back sooner and sooner, in step",
        PROGRESS,
        "GROWTH ** (self._failures - 1)",
        "1",
        (PROGRESSES,),
    ),
    Mutant(
        31,
        "half-a-line",
        "an event that was cut is none, and the watch goes on as if it was whole",
        LINES,
        "        if self._length:\n",
        "        if False:\n",
        (LINED,),
    ),
    Mutant(
        31,
        "watches-without-end",
        "each lease has a connection of its own, however many there are",
        WATCHER,
        "[: max(0, OWN_WATCHES - len(kept))]",
        "",
        (STREAMS,),
    ),
]
