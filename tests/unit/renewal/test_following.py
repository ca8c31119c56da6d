"""A candidacy's watch: when there is one, and when what it tells is acted on."""

from singleton_jobs.locks.watching import Sight
from singleton_jobs.renewal.following import Following
from unit.harness import stored


class Watched:
    """A lock whose watch tells what the test has it tell."""

    how = "told by the test"

    def __init__(self):
        self.doubts = self.ends = self.asks = 0
        self.known = None
        self.tell = None

    def watch(self, tell):
        self.tell = tell
        return self

    def doubt(self):
        self.doubts += 1

    def ask(self):
        self.asks += 1

    def know(self, version):
        self.asks -= 1
        self.known = version

    def end(self):
        self.ends += 1


def sight(version):
    return Sight(stored(version=version), version)


def following(lock):
    told = []
    return Following(lock, told.append), told


def test_a_watch_is_begun_once_and_ended_once():
    lock = Watched()
    made, _ = following(lock)
    assert made.how == "polling"
    for _ in range(2):
        made.keep(wanted=True)
        assert made.how == "told by the test"
    for _ in range(2):
        made.keep(wanted=False)
    assert (lock.ends, made.how) == (1, "polling")
    made.keep(wanted=True)


def test_a_lock_that_cannot_be_watched_is_polled():
    made, _ = following(object())
    made.keep(wanted=True)
    assert made.how == "polling"
    made.ask()
    made.answered(read=stored())


def test_what_is_told_is_passed_on_at_once():
    lock = Watched()
    made, told = following(lock)
    made.keep(wanted=True)
    lock.tell(sight(3))
    lock.tell(None)
    assert told == [sight(3), None]


def test_what_is_told_during_a_request_waits_for_its_answer():
    lock = Watched()
    made, told = following(lock)
    made.keep(wanted=True)
    made.ask()
    for version in (3, 4):
        lock.tell(sight(version))
    assert not told
    made.answered()
    assert told == [sight(4)]
    lock.tell(sight(5))
    made.answered()
    assert told == [sight(4), sight(5)]


def test_a_watch_that_has_not_told_what_is_found_is_doubted():
    lock = Watched()
    made, _ = following(lock)
    made.keep(wanted=True)
    for known, found in ((3, 3), (3, 4)):
        made.ask()
        lock.tell(sight(known))
        made.answered(read=stored(version=found))
    assert lock.doubts == 1


def test_a_watch_that_tells_nothing_is_not_doubted():
    lock = Watched()
    made, _ = following(lock)
    made.keep(wanted=True)
    lock.tell(sight(3))
    lock.tell(None)
    made.ask()
    made.answered(read=stored(version=9))
    assert lock.doubts == 0


def test_a_watch_need_not_tell_what_was_written_here_and_is_not_doubted_for_it():
    lock = Watched()
    made, _ = following(lock)
    made.keep(wanted=True)
    lock.tell(sight(3))
    made.ask()
    assert lock.asks == 1
    made.answered(wrote=stored(version=4))
    assert (lock.asks, lock.known) == (0, 4)
    for found in (4, 5):
        made.ask()
        made.answered(read=stored(version=found))
        assert lock.known is None
    assert lock.doubts == 1


def test_the_end_is_told_and_nothing_after_it():
    lock = Watched()
    made, told = following(lock)
    made.keep(wanted=True)
    made.ask()
    lock.tell(sight(3))
    made.keep(wanted=False)
    made.answered(read=stored())
    assert told == [None]
