"""Whatever the network and the clocks do, also if two believe that they lead: a fire is granted at most once."""

from datetime import timedelta

import hypothesis.strategies as st
from hypothesis.stateful import initialize, invariant, rule

from simulation.faulty import OFTEN, Faulty, actors
from simulation.world import START, World
from singleton_jobs.decisions.ledger import read_ledger

rates = st.sampled_from([0.3, 0.9, 1.0, 1.1, 3.0])
seconds = st.integers(-8, 0)
jobs = st.sampled_from(["aps:a", "aps:a", "aps:b", "app:c", "aps:r", "aps:r", "app:s"])


class Fires(Faulty):
    @initialize(given=st.tuples(rates, rates, rates))
    def begin(self, given):
        self.world = World(given, clocks_fail=True)
        self.checked = 1
        self.done = set()
        self.attempts = {}  # the nonce of each, by job, fire and number
        self.all_is_well(3.0)

    @rule(which=actors, job=jobs, second=seconds)
    def claims(self, which, job, second):
        actor = self.world.actors[which]
        if actor.holds:
            actor.claim(job, second)

    @rule(which=actors, job=jobs, batch=st.lists(seconds, min_size=1, max_size=4))
    def claims_whether_it_leads_or_not(self, which, job, batch):
        for second in batch:
            self.world.actors[which].claim(job, second)

    @rule(which=actors, at=st.integers(0, 9))
    def gives_up_a_claim(self, which, at):
        actor = self.world.actors[which]
        waiting = [claim for claim in actor.claims if claim.outcome is None]
        if waiting:
            claim = waiting[at % len(waiting)]
            actor.candidate.claims.withdraw(claim)
            actor.candidate.claims.give_up(claim)

    @rule(which=actors)
    def runs_again_what_was_cut_short(self, which):
        self.world.actors[which].claim_again()

    @rule(which=actors, at=st.integers(0, 9))
    def cuts_a_run_short(self, which, at):
        """A pool's process has died over it."""
        actor = self.world.actors[which]
        ran = [claim for claim in actor.claims if claim.outcome == "granted" and claim.repeats]
        if ran:
            actor.candidate.claims.give_up(ran[at % len(ran)])

    @rule(which=actors, at=st.integers(0, 9))
    def finishes_a_run(self, which, at):
        actor = self.world.actors[which]
        ran = [claim for claim in actor.claims if claim.outcome == "granted"]
        if ran:
            actor.candidate.claims.done(ran[at % len(ran)].job, ran[at % len(ran)].nonce)
            self.done.add(ran[at % len(ran)].nonce)

    @rule(which=actors, job=jobs, second=seconds)
    def introduces(self, which, job, second):
        actor = self.world.actors[which]
        if actor.holds:
            actor.candidate.claims.introduce({job: START + timedelta(seconds=second)})

    @rule(which=actors)
    def the_leaders_clock_is_set_a_day_ahead(self, which):
        """It leads no more, if anything was ever claimed."""
        self.claims_whether_it_leads_or_not(which, "aps:a", [-1])
        self.all_is_well(2.0)
        actor, found = self.world.actors[which], self.world.store.current
        actor.wall_offset = START.timestamp() + 86400.0
        self.all_is_well(40.0)
        assert not found or not found.ledger or not actor.holds

    @rule(which=actors, job=jobs, second=seconds)
    def crashes_during_a_run(self, which, job, second):
        self.claims(which, job, second)
        self.all_is_well(2.0)
        self.crashes(which)

    @rule(which=actors)
    def releases(self, which):
        actor = self.world.actors[which]
        actor.candidate.release(actor.now, again=True, rest=4.0)

    @invariant()
    def a_fire_is_granted_once_and_marks_never_go_back(self):
        if hasattr(self, "world"):
            self.world.note()
            self.look_back()

    def look_back(self):
        history = self.world.store.history
        for before, after in zip(history[self.checked - 1 :], history[self.checked :], strict=False):
            old = read_ledger(before.ledger) if before else {}
            new = read_ledger(after.ledger)
            assert all(new[job].fire >= mark.fire for job, mark in old.items())
            assert all(mark.nonce or job not in old or old[job] == mark for job, mark in new.items())
            for job, mark in old.items():
                self.no_attempt_is_lost_or_made_twice(job, mark, new[job])
                if mark.state == "c" and not job.startswith("app:"):
                    self.no_end_is_made_up(job, mark, new[job], after.record.holder_identity)
        self.checked = len(history)

    def no_end_is_made_up(self, job, mark, new, holder):
        """A run that was never told to have ended is told of as interrupted, unless it may go on where it began."""
        owner = mark.nonce.partition("/")[0]
        told = any(
            (told_job, told_mark.nonce) == (job, mark.nonce) for _, told_job, told_mark in self.world.interrupted
        )
        if new.nonce != mark.nonce:
            assert told or owner == holder, f"{job} was left at {mark}"
        elif new.state == "d":
            assert told or mark.nonce in self.done, f"{job} never ended at {mark}"

    def no_attempt_is_lost_or_made_twice(self, job, mark, new):
        """Each is there until it is done, or the next one takes its place."""
        for old in mark.attempts:
            if old not in new.attempts and old.nonce not in self.done:
                assert [each.number for each in new.attempts if each.fire == old.fire] == [old.number + 1], (
                    f"{job}: {old}"
                )
        for attempt in new.attempts:
            assert self.attempts.setdefault((job, attempt.fire, attempt.number), attempt.nonce) == attempt.nonce

    def teardown(self):
        """Once all is well, whoever leads is granted a fire later than any before, and no crashed run is left untold."""
        world = getattr(self, "world", None)
        if world is None:
            return
        world.late.clear()
        for actor in world.actors:
            actor.rate, actor.offset = 1.0, actor.now - world.time
            actor.wall_offset = START.timestamp()
            actor.land()
            actor.hear()
        for _ in world.run_well(30.0):
            pass
        (leader,) = (actor for actor in world.actors if actor.holds)
        claim = leader.claim("aps:a", 1)
        for _ in world.run_well(5.0):
            pass
        assert claim.outcome == "granted"
        leader.claim_again()
        for _ in world.run_well(5.0):
            pass
        self.look_back()
        assert not leader.candidate.claims.cut()
        for job, mark in read_ledger(world.store.current.ledger).items():
            owner = mark.nonce.partition("/")[0]
            assert mark.state == "d" or job.startswith("app:") or owner == leader.candidate.identity, f"{job}: {mark}"


Fires.TestCase.settings = OFTEN
TestFires = Fires.TestCase


def two_leaders():
    """The first one's clock stands still, so that it believes for ever that it leads."""
    world = World((1.0, 1.0, 1.0), clocks_fail=True)
    first, second, third = world.actors
    world.actors = [first]
    for _ in world.run_well(3.0):
        pass
    first.rate, first.offset = 1e-9, first.now
    world.actors = [second]
    for _ in world.run_well(30.0):
        pass
    world.actors = [first, second]
    assert first.holds
    assert second.holds
    return world, first, second


def test_of_two_that_believe_they_lead_the_one_in_the_store_is_granted_the_fire():
    world, first, second = two_leaders()
    stale, fresh = first.claim("app:a", 0), second.claim("app:a", 0)
    for _ in world.run_well(5.0):
        first.work()
    assert fresh.outcome == "granted"
    assert stale.outcome is None
    assert not first.holds


def test_a_fire_that_the_first_was_granted_is_refused_to_the_second():
    world = World()
    (leader,) = _lead(world)
    assert _decided(world, leader, 0) == "granted"
    leader.reborn()
    (next_leader,) = _lead(world)
    assert next_leader is not leader or leader.generation > 1
    assert _decided(world, next_leader, 0) == "refused"
    assert _decided(world, next_leader, 1) == "granted"
    assert [fire for _, fire, _ in world.granted] == [START, START.replace(second=START.second + 1)]


def _lead(world):
    for _ in world.run_well(25.0):
        pass
    return [actor for actor in world.actors if actor.holds]


def _decided(world, actor, second):
    claim = actor.claim("app:a", second)
    for _ in world.run_well(1.0):
        pass
    return claim.outcome
