"""Whoever takes a job's lease claims in the same write: a fire runs once, at its time, whatever is lost or lands late."""

from datetime import timedelta
from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import initialize, invariant, rule

from simulation.bidders import INTERVAL, JOB, Bidder, Repeater
from simulation.faulty import OFTEN, Faulty, actors
from simulation.world import START, World
from singleton_jobs.decisions.ledger import read_ledger

steady = st.tuples(*[st.sampled_from([0.9, 1.0, 1.1])] * 3)
wild = st.tuples(*[st.sampled_from([0.3, 1.0, 3.0])] * 3)
steps = st.lists(
    st.sampled_from(
        [Bidder.work, Bidder.work, Bidder.work, Bidder.lose_the_answer, Bidder.strand, Bidder.hear_late, Bidder.hear_of]
    ),
    min_size=2,
    max_size=5,
)
turns = st.sampled_from([0.0, 0.0, 0.5, 3.0])
ends = st.sampled_from([Bidder.finish, Bidder.finish, Bidder.cut, Bidder.work, Bidder.reborn])


class Bids(Faulty):
    """Three replicas with shifted plans of one interval; with ``wild`` clocks two may believe that they hold the lease."""

    @initialize(steady=steady, wild=wild, fails=st.booleans(), repeats=st.booleans())
    def begin(self, steady, wild, fails, repeats):
        self.world = World(wild if fails else steady, clocks_fail=fails, actor=Repeater if repeats else Bidder)
        self.checked = 1
        self.before = {}  # by nonce, the marks that such claims were written over
        self.undone = set()  # nonces of claims that were taken back
        self.attempts = {}  # the nonce of each, by fire and number

    @rule(which=actors)
    def plans(self, which):
        self.world.actors[which].see()

    @rule(which=actors, count=st.sampled_from([1, 1, 1, 2, 3]), turn=turns, waits=st.booleans())
    def bids(self, which, count, turn, waits):
        self.world.actors[which].bid(count, turn=turn, waits=waits)

    @rule(which=actors, others=st.lists(actors, max_size=2))
    def plans_and_bids_with_others(self, which, others):
        for each in {which, *others}:
            self.world.actors[each].see()
            self.world.actors[each].bid()

    @rule(turns=st.lists(st.tuples(actors, st.integers(0, 4), steps, ends), min_size=1, max_size=6))
    def take_turns(self, turns):
        """Whole attempts: from the plan, or an old one, to the end of the run, or to whatever ends it before."""
        for which, plans, steps, end in turns:
            actor = self.world.actors[which]
            if actor.bidden is None and plans:
                actor.see()
            actor.bid()
            for step in (*steps, end, Bidder.work):
                step(actor)
                self.a_fire_is_granted_once_and_plans_are_kept()

    @rule(which=actors, second=st.none() | st.integers(-8, 0))
    def bids_for_nothing(self, which, second):
        first = None if second is None else START + timedelta(seconds=second)
        self.world.actors[which].bid_for_nothing(first)

    @rule(which=actors)
    def scouts(self, which):
        self.world.actors[which].scout()

    @rule(which=actors)
    def finishes(self, which):
        if self.world.actors[which].running:
            self.world.actors[which].finish()

    @rule(which=actors)
    def gives_up(self, which):
        """Before it is granted anything, or in the midst of a run."""
        self.world.actors[which].cut()

    @rule(which=actors, back=st.sampled_from([0, 0, 0, 1, 3]))
    def is_told(self, which, back):
        self.world.actors[which].hear_of(back)

    @rule(which=actors, watching=st.booleans())
    def has_a_watch_or_none(self, which, watching):
        self.world.actors[which].watching = watching
        self.world.actors[which].go_blind()

    @invariant()
    def a_fire_is_granted_once_and_plans_are_kept(self):
        if hasattr(self, "world"):
            self.world.note()
            self.look_back()
            fires = sorted({fire for _, fire, _ in self.world.granted})
            assert all(later - fire >= INTERVAL for fire, later in pairwise(fires)), fires
            assert self.undone.isdisjoint(self.granted), "what was granted was taken back"

    @property
    def granted(self):
        return {claim.nonce for claim in self.world.granted.values()}

    def look_back(self):
        history = self.world.store.history
        for stored, after in zip(history[self.checked - 1 :], history[self.checked :], strict=False):
            old = read_ledger(stored.ledger).get(JOB) if stored else None
            new = read_ledger(after.ledger).get(JOB)
            self.no_attempt_is_lost_or_made_twice(old, new)
            if old and (new is None or new.fire < old.fire):
                self.taken_back(old.nonce, new, after)
            elif old and new.nonce != old.nonce:
                assert new.fire >= old.fire + INTERVAL, f"{new} was planned by another mark than {old}"
                self.before[new.nonce] = old
                self.is_told_of(old, new)
            elif old and new.state != old.state:
                assert old.nonce in self.world.done | self.told, f"{old} never ended"
            elif new and not old:
                self.before[new.nonce] = None
        self.checked = len(history)

    def taken_back(self, nonce, new, after):
        """Only by whoever frees the lease, and to what was before."""
        before = self.before[nonce]
        assert not after.record.holder_identity
        assert (before and before[:2]) == (new and new[:2]), f"{before} became {new}"
        self.undone.add(nonce)

    def is_told_of(self, old, new):
        """A run that was never told to have ended is told of as interrupted, by whoever runs the next."""
        if old.state == "c" and new.nonce in self.granted:
            assert old.nonce in self.told | self.world.done, f"{old} was left"

    @property
    def told(self):
        return self.world.told | {mark.nonce for _, _, mark in self.world.interrupted}

    def no_attempt_is_lost_or_made_twice(self, old, new):
        """Each is there until it is done, or the next one takes its place; or it was never granted, and is taken back."""
        was, now = old.attempts if old else (), new.attempts if new else ()
        for each in was:
            if each not in now and each.nonce not in self.world.done:
                follows = [other.number - each.number for other in now if other.fire == each.fire]
                if follows != [1]:
                    assert follows in ([], [-1]), f"{old} became {new}"
                    self.undone.add(each.nonce)
        for each in now:
            nonce = self.attempts.setdefault((each.fire, each.number), each.nonce)
            if nonce != each.nonce:
                assert nonce in self.undone, f"{each} was made twice"
                self.attempts[each.fire, each.number] = each.nonce

    def teardown(self):
        """Once all is well, what is due runs, and nothing stays begun."""
        world = getattr(self, "world", None)
        if world is None:
            return
        world.late.clear()
        for actor in world.actors:
            actor.rate, actor.offset, actor.wall_offset = 1.0, actor.now - world.time, START.timestamp()
            actor.land()
            actor.hear()
        for _ in world.run_well(50.0):
            pass
        won = len(world.granted)
        for _ in world.run_well(35.0):
            pass
        self.look_back()
        assert len(world.granted) >= won + 2, "what is due does not run"
        mark = read_ledger(world.store.current.ledger)[JOB]
        running = {claim.nonce for actor in world.actors for claim in actor.running}
        assert mark.state == "d" or mark.nonce in running | world.done, f"{mark} was left"
        assert {each.nonce for each in mark.attempts} <= running | world.done, f"{mark} was left"


Bids.TestCase.settings = settings(OFTEN, report_multiple_bugs=False)
TestBids = Bids.TestCase
