"""What goes wrong in a world of three: requests, answers, clocks; for state machines that add what its actors do."""

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from simulation.world import World

actors = st.integers(0, 2)
spans = st.sampled_from([0.001, 0.5, 2.0, 5.0, 9.99, 15.0, 40.0])

OFTEN = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Faulty(RuleBasedStateMachine):
    world: World

    @rule(which=actors, step=st.sampled_from([-86400.0, -10.0, 10.0, 86400.0]))
    def a_hosts_clock_steps(self, which, step):
        self.world.actors[which].wall_offset += step

    @rule(span=spans)
    def time_passes(self, span):
        self.world.time += span

    @rule(which=actors)
    def sends(self, which):
        self.world.actors[which].act()

    @rule(which=actors, back=st.sampled_from([0, 0, 0, 1, 3]))
    def lands(self, which, back):
        self.world.actors[which].land(versions_back=back)

    @rule(which=actors)
    def hears(self, which):
        self.world.actors[which].hear()

    @rule(which=actors, times=st.integers(1, 4))
    def works(self, which, times):
        for _ in range(times):
            self.world.actors[which].work()

    @rule(which=actors)
    def loses_the_answer(self, which):
        """The next request lands, and nobody says so."""
        actor = self.world.actors[which]
        actor.act()
        actor.land()
        actor.time_out()

    @rule(which=actors)
    def times_out(self, which):
        self.world.actors[which].time_out()

    @rule(which=actors)
    def is_refused(self, which):
        self.world.actors[which].be_refused()

    @rule(which=actors)
    def crashes(self, which):
        self.world.actors[which].reborn()

    @precondition(lambda self: self.world.late)
    @rule(data=st.data())
    def a_late_write_lands(self, data):
        at = data.draw(st.integers(0, len(self.world.late) - 1))
        self.world.store.put(self.world.late.pop(at))

    @rule()
    def somebody_edits_an_annotation(self):
        self.world.store.edit()

    @rule(span=spans, without=st.none() | actors)
    def all_is_well(self, span, without=None):
        for _ in self.world.run_well(span, without=without):
            pass
