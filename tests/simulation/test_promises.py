"""Whatever the network, the clocks and the operators do: one holder at any instant, and growing fencing tokens."""

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulation.world import CONFIG, World

BOUND = CONFIG.lease_duration + 1.2 * CONFIG.retry_period + 2 * CONFIG.request_timeout

actors = st.integers(0, 2)
rates = st.sampled_from([0.9, 0.97, 1.0, 1.03, 1.1])
spans = st.sampled_from([0.001, 0.05, 0.5, 1.0, 2.0, 2.5, 5.0, 7.5, 9.99, 10.0, 13.6, 15.0, 17.0, 40.0])


class Promises(RuleBasedStateMachine):
    ephemeral = False

    @initialize(given=st.tuples(rates, rates, rates), seconds=st.sampled_from([0.0, 3.0, 30.0]))
    def begin(self, given, seconds):
        self.world = World(given, ephemeral=self.ephemeral)
        self.all_is_well(seconds)

    @rule(span=spans)
    def time_passes(self, span):
        self.world.time += span

    @rule(which=actors, span=spans)
    def all_is_well_but_for_one(self, which, span):
        """One replica stalls, while the others work."""
        for _ in self.world.run_well(span, without=which):
            pass

    @rule(which=actors)
    def sends(self, which):
        self.world.actors[which].act()

    @rule(which=actors, back=st.sampled_from([0, 0, 0, 1, 2, 5]))
    def lands(self, which, back):
        self.world.actors[which].land(versions_back=back)

    @rule(which=actors)
    def hears(self, which):
        self.world.actors[which].hear()

    @rule(which=actors, times=st.integers(1, 4))
    def works(self, which, times):
        for _ in range(times):
            self.world.actors[which].work()

    @rule(which=actors, span=spans, stall=spans)
    def is_answered_late_and_stalls(self, which, span, stall):
        """The next request lands at once; its answer takes long; then its sender stalls; the others work."""
        actor = self.world.actors[which]
        wait = actor.act()
        if wait:
            self.all_is_well_but_for_one(which, min(20.0, max(0.0, actor.at(wait.until) - self.world.time)))
            actor.act()
        actor.land()
        self.all_is_well_but_for_one(which, span)
        actor.hear()
        self.all_is_well_but_for_one(which, stall)

    @rule(which=actors, span=spans)
    def lands_late(self, which, span):
        """The request takes long to land, while its sender waits and the others work."""
        actor = self.world.actors[which]
        actor.act()
        self.all_is_well_but_for_one(which, span)
        actor.land()
        actor.hear()

    @rule(which=actors)
    def times_out(self, which):
        self.world.actors[which].time_out()

    @rule(which=actors)
    def is_refused(self, which):
        self.world.actors[which].be_refused()

    @precondition(lambda self: self.world.late)
    @rule(data=st.data())
    def a_late_write_lands(self, data):
        at = data.draw(st.integers(0, len(self.world.late) - 1))
        self.world.store.put(self.world.late.pop(at))

    @rule(seconds=spans)
    def all_is_well(self, seconds):
        for _ in self.world.run_well(seconds):
            pass

    @rule(which=actors, step=st.sampled_from([-86_400.0, -3.0, -0.5, 0.5, 3.0, 86_400.0]))
    def the_wall_clock_steps(self, which, step):
        self.world.actors[which].wall_offset += step

    @rule()
    def somebody_edits_an_annotation(self):
        self.world.store.edit()

    @rule(which=actors)
    def stops(self, which):
        actor = self.world.actors[which]
        actor.candidate.stop(actor.now)

    @rule(which=actors)
    def starts(self, which):
        actor = self.world.actors[which]
        actor.candidate.start(actor.now)

    @rule(which=actors, again=st.booleans())
    def releases(self, which, again):
        actor = self.world.actors[which]
        actor.candidate.release(actor.now, again=again, rest=2 * CONFIG.retry_period if again else 0.0)

    @rule(which=actors)
    def abandons(self, which):
        actor = self.world.actors[which]
        actor.candidate.abandon(actor.now, "its work goes on")

    @rule(which=actors)
    def checks(self, which):
        actor = self.world.actors[which]
        actor.candidate.expire(actor.now)

    @rule(which=actors)
    def crashes(self, which):
        self.world.actors[which].reborn()

    @invariant()
    def at_most_one_holds_and_tokens_grow(self):
        if hasattr(self, "world"):
            self.world.note()

    def teardown(self):
        """Once faults stop, a leader exists within the bound."""
        world = getattr(self, "world", None)
        if world is None:
            return
        world.late.clear()
        for actor in world.actors:
            actor.land()
            actor.hear()
            if not actor.candidate._wanted:
                actor.candidate.start(actor.now)
        begun, slowest = world.time, min(actor.rate for actor in world.actors)
        if not world.holders:
            assert any(world.holders for _ in world.run_well(BOUND / slowest)), f"nobody leads after {BOUND:.1f} s"
        assert world.time - begun <= BOUND / slowest


class EphemeralPromises(Promises):
    """The same of a lease that is deleted by whoever gives it back."""

    ephemeral = True


Promises.TestCase.settings = EphemeralPromises.TestCase.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestPromises = Promises.TestCase
TestEphemeralPromises = EphemeralPromises.TestCase


def test_an_answer_that_took_long_leaves_no_hold_beyond_the_followers_patience():
    world = World()
    for _ in world.run_well(3.0):
        pass
    leader = next(actor for actor in world.actors if actor.holds)
    wait = leader.act()
    for _ in world.run_well(leader.at(wait.until) - world.time, without=leader.number):
        pass
    leader.act()
    leader.land()
    for slow in (7.5, 20.0):
        for _ in world.run_well(slow, without=leader.number):
            pass
        leader.hear()
    assert len(world.terms) == 2
