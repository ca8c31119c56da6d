"""Leaders come and go at random: each nominal fire inside its grace is run once, none twice."""

import random
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import assume, example, given, settings

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from singleton_jobs.decisions.ledger import Mark
from singleton_jobs_apscheduler.schedule import Schedule, begin
from unit.apscheduler.moments import BERLIN, DAY, HOUR, MINUTE, NOON, SECOND, claimed, introduced

TICK = timedelta(microseconds=1)
ZONES = [UTC, BERLIN]
quick = settings(max_examples=150, deadline=None)

crons = st.builds(
    lambda fields, zone: CronTrigger(**fields, timezone=zone),
    st.sampled_from(
        [
            {"second": "*/10"},
            {"minute": "*"},
            {"minute": "*/7"},
            {"minute": "0,1,59"},
            {"hour": "*/5", "minute": 30},
            {"day_of_week": "mon-fri", "hour": 9},
            {"day": "last", "hour": 12},
        ]
    ),
    st.sampled_from(ZONES),
)
steps = st.sampled_from([timedelta(seconds=7), MINUTE, timedelta(minutes=25), HOUR, DAY])
spans = st.timedeltas(min_value=timedelta(0), max_value=3 * DAY)
times = spans.map(lambda span: NOON - span)
graces = st.sampled_from([SECOND, timedelta(seconds=30), timedelta(minutes=10), timedelta(hours=3), None])


def made(step, now, jitter=None):
    """An interval trigger as a process that starts ``now`` makes it."""
    return IntervalTrigger(seconds=step.total_seconds(), start_date=now + step, timezone=UTC, jitter=jitter)


triggers = st.one_of(
    crons,
    st.builds(lambda step, start: made(step, start), steps, times),
    st.lists(crons, min_size=1, max_size=3).map(OrTrigger),
    st.builds(lambda days, hour: CalendarIntervalTrigger(days=days, hour=hour, start_date=NOON.date() - 9 * DAY, timezone=UTC),
              st.integers(1, 3), st.integers(0, 23)),
    times.map(DateTrigger),
)  # fmt: skip


@quick
@given(
    trigger=triggers,
    mark=st.one_of(times.map(claimed), times.map(introduced)),
    ahead=st.sampled_from([-DAY, -MINUTE, timedelta(0), SECOND, HOUR, 2 * DAY]),
    grace=graces,
    plan=st.timedeltas(-DAY, DAY),
    shared=st.booleans(),
)
@example(CronTrigger(minute="*", timezone=UTC), claimed(NOON), -SECOND, MINUTE, timedelta(0), False)
def test_the_next_run_is_later_than_the_mark(trigger, mark, ahead, grace, plan, shared):
    now = mark.fire + ahead
    planned = trigger.get_next_fire_time(None, now) if not shared else now + plan
    assume(planned is not None)
    start = begin(trigger, mark, planned, now, grace, shared=shared, asked=False)
    assert start.mark is None
    assert start.next_run_time is None or start.next_run_time > mark.fire or start.next_run_time == planned > now


@quick
@given(
    trigger=triggers.filter(lambda trigger: not isinstance(trigger, DateTrigger)),
    now=times,
    grace=graces,
    plan=st.timedeltas(-DAY, DAY),
    shared=st.booleans(),
    asked=st.booleans(),
)
def test_a_first_mark_is_before_the_first_run_and_not_in_the_future(trigger, now, grace, plan, shared, asked):
    start = begin(trigger, None, now + plan, now, grace, shared=shared, asked=asked)
    assert start.mark <= now
    assert start.next_run_time is None or start.mark < start.next_run_time


@quick
@given(
    trigger=triggers.filter(lambda trigger: not isinstance(trigger, DateTrigger)),
    mark=times.map(claimed),
    now=times,
    grace=graces,
    shared=st.booleans(),
)
def test_whatever_is_named_is_a_nominal_time_or_was_planned_later(trigger, mark, now, grace, shared):
    assume(mark.fire <= now)
    planned = trigger.get_next_fire_time(None, now)
    assume(planned is not None)
    due = begin(trigger, mark, planned, now, grace, shared=shared, asked=False).next_run_time
    if due is not None and due <= now:
        what = Schedule(trigger, mark, now)
        assert what.scheduled(due) == due
        missed = what.first(mark.fire)
        assert missed <= due
        if missed < due:
            assert grace is not None
            assert now - missed >= grace  # none that could have run is left out
        if grace is not None and now - due > grace:
            assert what.first(due) is None or what.first(due) > now  # of those too old it is the latest


class Cluster:
    """A ledger, leaders that run what is due until they die, and the replicas' own triggers."""

    def __init__(self, make, grace, shared, start):
        self.make, self.grace, self.shared = make, grace, shared
        self.mark: Mark | None = None
        self.row = make(start).get_next_fire_time(None, start)
        self.now = start
        self.ran: list[datetime] = []
        self.missed: list[datetime] = []
        self.refused: list[datetime] = []

    def lead(self, span, made_ago, dies_before_claim, stale_row):
        """A replica that was started ``made_ago`` leads for ``span``; it looks at once, and whenever its job is due."""
        trigger = self.make(self.now - made_ago)
        planned = self.row if self.shared else trigger.get_next_fire_time(None, self.now - made_ago)
        end = self.now + span
        if planned is None:
            self.now = end
            return
        start = begin(trigger, self.mark, planned, self.now, self.grace, shared=self.shared, asked=False)
        if start.mark is not None:
            assert self.mark is None
            self.mark = Mark(start.mark, "", "d")
        due = start.next_run_time
        while due is not None and due <= end:
            self.now = max(self.now, due)
            what = Schedule(trigger, self.mark, self.now)
            fire = what.nominal(due)
            if dies_before_claim and self.now >= end - span / 4:
                return  # whatever it has submitted is lost
            if fire is not None:
                self.claim(fire, due)
            following = what.first(fire or due)
            due = following and what.with_jitter(following)
            if not stale_row:
                self.row = due
        self.now = end

    def claim(self, fire, due):
        if self.mark and fire <= self.mark.fire:
            self.refused.append(fire)
            return
        assert fire <= self.now
        self.mark = claimed(fire)
        late = self.grace is not None and self.now - due > self.grace
        (self.missed if late else self.ran).append(fire)


reigns = st.lists(
    st.tuples(
        st.timedeltas(timedelta(0), timedelta(minutes=40)),  # how long it leads
        st.timedeltas(timedelta(0), timedelta(minutes=90)),  # for how long nobody does
        st.timedeltas(timedelta(0), timedelta(hours=2)),  # how old its process is
        st.booleans(),  # whether it dies with a fire submitted
        st.booleans(),  # whether its store forgets what it wrote
    ),
    min_size=2,
    max_size=8,
)
kinds = st.sampled_from(
    [
        lambda now: CronTrigger(minute="*/7", timezone=UTC),
        lambda now: CronTrigger(minute=0, timezone=BERLIN),
        lambda now: CronTrigger(minute="*/7", timezone=UTC, jitter=100),
        lambda now: made(timedelta(minutes=9), now),
        lambda now: made(timedelta(minutes=9), now, jitter=200),
        lambda now: OrTrigger([CronTrigger(minute=3, timezone=UTC), CronTrigger(minute="*/25", timezone=UTC)]),
    ]
)


@quick
@given(
    make=kinds,
    grace=st.sampled_from([timedelta(seconds=30), timedelta(minutes=20), timedelta(hours=9), None]),
    shared=st.booleans(),
    history=reigns,
    seed=st.integers(0, 99),
)
def test_each_fire_inside_its_grace_runs_once(make, grace, shared, history, seed):
    random.seed(seed)
    cluster = Cluster(make, grace, shared, NOON + 17 * SECOND)
    led = []
    for span, gap, age, dies, stale in history:
        begun = cluster.now
        cluster.lead(span, age, dies, stale)
        led.append((begun, cluster.now))
        cluster.now += gap
    cluster.lead(timedelta(0), timedelta(0), False, False)
    ran, all_named = cluster.ran, cluster.ran + cluster.missed
    assert len(set(all_named)) == len(all_named)
    assert ran == sorted(ran)
    assert not cluster.refused
    if cluster.mark is None:
        return
    trigger = make(NOON)
    what = Schedule(trigger, Mark(all_named[0], "n", "d") if all_named else cluster.mark, cluster.now)
    if isinstance(trigger, IntervalTrigger):  # one phase for ever
        assert len({(fire - all_named[0]) % trigger.interval for fire in all_named}) <= 1
    if grace is None and all_named:  # nothing is ever too old: none is left out
        expected, fire = [], all_named[0]
        while fire is not None and fire <= all_named[-1]:
            expected.append(fire)
            fire = what.first(fire)
        assert ran == expected
    for begun, ended in led[1:]:  # what fell due while somebody led, and early enough before it ended, was named
        fire = what.first(max(begun, all_named[0]) - TICK) if all_named else None
        while fire is not None and fire + what.jitter <= begun + (ended - begun) / 2:
            assert fire in all_named
            fire = what.first(fire)


@quick
@given(
    step=steps,
    phase=st.timedeltas(timedelta(0), HOUR),
    ages=st.lists(st.timedeltas(timedelta(0), 2 * DAY), min_size=2, max_size=5),
)
def test_replicas_agree_on_the_next_fire_of_an_interval(step, phase, ages):
    mark, now = claimed(NOON - phase), NOON
    named = set()
    for age in ages:
        trigger = made(step, now - age)
        planned = trigger.get_next_fire_time(None, now)
        named.add(begin(trigger, mark, planned, now, None, shared=False, asked=False).next_run_time)
    assert len(named) == 1
    assert (named.pop() - mark.fire) % step == timedelta(0)


@pytest.mark.parametrize("grace", [30, 3600], ids=str)
def test_a_take_over_with_a_grace_longer_than_the_interval_does_not_run_the_last_fire_again(grace):
    cluster = Cluster(lambda now: CronTrigger(second="*/10", timezone=UTC), grace * SECOND, False, NOON + SECOND)
    for _ in range(20):
        cluster.lead(35 * SECOND, HOUR, False, False)
    assert cluster.ran == [NOON + 10 * n * SECOND for n in range(1, 71)]
    assert not cluster.refused
