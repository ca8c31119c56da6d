"""Whose turn it is where only so many requests are under way."""

import asyncio

import pytest

from singleton_jobs.renewal.turns import Turns


class Line:
    """Those who stand in line, and in which order they had their turns."""

    def __init__(self, runner, at_once=1):
        self.runner = runner
        self.turns = Turns(at_once)
        self.had = []
        self.tasks = {}

    def stand(self, who, by):
        self.tasks[who] = self.runner.get_loop().create_task(self._take(who, by))
        self._go_on()

    async def _take(self, who, by):
        await self.turns.take(who, by)
        self.had.append(who)

    def give_back(self):
        self.turns.give_back()
        self._go_on()
        return self.had

    def _go_on(self):
        for _ in range(3):
            self.runner.run(asyncio.sleep(0))


@pytest.fixture
def runner():
    with asyncio.Runner() as runner:
        yield runner


def test_so_many_have_a_turn_at_once(runner):
    line = Line(runner, 2)
    for who in "abc":
        line.stand(who, 0.0)
    assert line.had == ["a", "b"]
    assert line.give_back() == ["a", "b", "c"]


def test_who_wants_it_earliest_is_next_and_then_who_came_first(runner):
    line = Line(runner)
    for who, by in (("first", 0.0), ("late", 3.0), ("early", 1.0), ("as early", 1.0)):
        line.stand(who, by)
    for _ in range(3):
        line.give_back()
    assert line.had == ["first", "early", "as early", "late"]


def test_who_is_in_a_hurry_goes_before_others_and_has_one_turn(runner):
    line = Line(runner)
    for who, by in (("first", 0.0), ("patient", 3.0), ("hurried", 4.0)):
        line.stand(who, by)
    line.turns.hurry("hurried", 2.0)
    line.turns.hurry("nobody", 0.0)
    for _ in range(4):
        line.give_back()
    assert line.had == ["first", "hurried", "patient"]
    line.stand("next", 9.0)
    assert line.had[-1] == "next"


@pytest.mark.parametrize("given", [False, True])
def test_who_was_cancelled_keeps_no_turn(runner, given):
    line = Line(runner)
    for who in ("first", "cancelled", "next"):
        line.stand(who, 0.0)
    if given:
        line.turns.give_back()
    line.tasks["cancelled"].cancel()
    assert line.give_back() == ["first", "next"]
    assert line.tasks["cancelled"].cancelled()
