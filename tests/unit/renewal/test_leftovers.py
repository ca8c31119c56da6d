"""What ended terms have left: claims that may be decided again, and fires that nobody will run."""

from datetime import UTC, datetime, timedelta

from singleton_jobs.decisions.ledger import Claim, Mark
from singleton_jobs.renewal.leftovers import Leftovers

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Told:
    def __init__(self):
        self.fires = []

    def interrupted(self, claim):
        self.fires.append(claim.fire)


def claim(number=0, **more):
    return Claim("job", NOON + number * SECOND, f"n{number}", **more)


def test_a_claim_that_landed_is_open():
    leftovers, told, landed = Leftovers(), Told(), claim(carried={"n0"})
    leftovers.keep(landed, Claim("other", NOON, "x", carried={"n0"}))
    assert leftovers.open("job", Mark(NOON, "n0", "c"), told) == [landed]
    assert not told.fires


def test_of_a_batch_that_another_leader_went_past_every_fire_is_told():
    leftovers, told = Leftovers(), Told()
    leftovers.keep(*(claim(number, carried={"n2"}) for number in range(3)))
    leftovers.keep(claim(9, carried={"n9"}))  # another has claimed that very fire
    assert not leftovers.open("job", Mark(NOON + 9 * SECOND, "theirs", "d"), told)
    assert told.fires == [NOON + number * SECOND for number in range(3)]


def test_what_is_not_open_is_forgotten():
    leftovers, told = Leftovers(), Told()
    leftovers.keep(claim(outcome="granted"))
    for _ in range(2):
        assert not leftovers.open("job", None, told)
    assert told.fires == [NOON]
    assert leftovers.take("job") is None


def test_a_claim_is_taken_once_and_is_undecided_then():
    leftovers, granted = Leftovers(), claim(1, outcome="granted")
    leftovers.keep(claim(0), granted)
    assert leftovers.take("job", NOON + SECOND) is granted
    assert granted.outcome is None
    assert leftovers.take("job", NOON + SECOND) is None


def test_whatever_is_left_of_a_job_is_taken_without_a_fire():
    leftovers, left = Leftovers(), claim()
    leftovers.keep(left, Claim("other", NOON, "x"))
    assert leftovers.take("job") is left
    assert leftovers.take("job") is None


def test_giving_up_tells_of_what_was_granted():
    leftovers, told = Leftovers(), Told()
    leftovers.keep(claim(0, outcome="granted"), claim(1), claim(2, outcome="refused"))
    leftovers.give_up(told)
    leftovers.give_up(told)
    assert told.fires == [NOON]
