"""The demo's plot: three replicas tick, the leader is killed twice, and each time another goes on."""

import signal
import time
from collections.abc import Callable

from .replica import GRACE
from .runs import Run, Verdict, judge
from .stage import Actor, Stage, StageError
from .views import View, clock_time

__all__ = ["KILLS", "Director"]

KILLS = (signal.SIGTERM, signal.SIGKILL)
READY_LIMIT = 30.0  # seconds until all replicas must have started
LEADER_LIMIT = 3.0  # seconds that the first tick waits for a leader
REST = 2.0  # seconds that a killed replica stays away
POLL = 0.05
MIDDLE = (0.4, 0.6)  # of a second: its tick, due at its start, has ended


class Director:
    """Watches the stage, tells the view, and ends in a verdict."""

    def __init__(self, stage: Stage, view: View, seconds: int) -> None:
        self._stage = stage
        self._view = view
        self._ticks = stage.ticks
        self._seconds = seconds
        self._runs: list[Run] = []
        self._ran: set[int] = set()
        self._claimed: set[int] = set()  # ticks that new leaders found claimed, whether or not they ran
        self._interrupted: set[int] = set()
        self.killed: list[signal.Signals] = []

    def perform(self) -> Verdict:
        """Play the whole demo."""
        stage, ticks = self._stage, self._ticks
        self._watch(READY_LIMIT, lambda: all(actor.state != "starting" for actor in stage.actors.values()))
        if any(actor.state == "starting" for actor in stage.actors.values()):
            raise StageError(f"the replicas did not start within {READY_LIMIT:g} seconds")
        self._watch(LEADER_LIMIT, lambda: stage.leader is not None)
        first = int(ticks.now() + 1)
        last = first + self._seconds - 1
        self._view.begin(first, last)
        stage.go(first, last)
        kills = [(first + self._seconds * (number + 1) // (len(KILLS) + 1), kill) for number, kill in enumerate(KILLS)]

        def next_scene() -> bool:
            now = ticks.now()
            between_ticks = int(now) in self._ran and MIDDLE[0] < now % 1 < MIDDLE[1]
            if kills and now > kills[0][0] and between_ticks and (leader := stage.leader):
                self._kill(leader, kills.pop(0)[1])
            for actor in stage.actors.values():
                if actor.state == "down" and now > actor.down_since + REST and stage.start_again(actor):
                    stage.go(first, last, actor.name)
                    self._view.say(now, f"started {actor.name} again")
            over = last in self._ran or not self._ran or now > last + GRACE  # a last leader may have to catch up
            return over and now > last + MIDDLE[0]

        self._watch(self._seconds + READY_LIMIT, next_scene)
        stage.stop()
        self._look_at_runs()
        self._view.refresh(stage)
        return judge(self._runs, first, last, self._claimed)

    def _kill(self, leader: Actor, number: signal.Signals) -> None:
        self._view.say(self._ticks.now(), f"killed the leader, {leader.name}, with {number.name}", "red")
        self._stage.kill(leader, number)
        self.killed.append(number)

    def _watch(self, limit: float, done: Callable[[], bool]) -> None:
        """Follow what happens until it is ``done``, or for ``limit`` seconds."""
        until = self._ticks.now() + limit
        while self._ticks.now() < until:
            self._look()
            self._stage.check()
            if done():
                return
            self._view.refresh(self._stage)
            time.sleep(POLL)

    def _look(self) -> None:
        for event in self._stage.events:
            actor = self._stage.actors[event["replica"]]
            if event["event"] == "begins" and event["mark"] is not None:
                self._claimed.add(event["mark"])
            if event["pid"] == actor.process.pid and actor.state != "down":
                self._note(actor, **event)
        self._look_at_runs()
        for tick in sorted(self._claimed - self._ran - self._interrupted):
            self._interrupted.add(tick)
            text = f"interrupted: due {clock_time(tick)}, claimed by a leader that was killed"
            self._view.say(self._ticks.now(), text, "yellow")

    def _look_at_runs(self) -> None:
        for run in self._stage.new_runs():
            how, style = ("ran AGAIN", "bold red") if run.tick in self._ran else ("ran", "green")
            self._runs.append(run)
            self._ran.add(run.tick)
            where = f"on {run.replica}  (token {run.token})"
            if run.caught_up:
                text = f"{how} {where}, caught up: due {clock_time(run.tick)}, {run.delay:.1f} s late"
                self._view.say(run.time, text, style)
            else:
                self._view.say(run.tick, f"{how} {where}", style)

    def _note(
        self, actor: Actor, event: str, time: float, token: int = 0, error: str = "", tick: int = 0, **_: object
    ) -> None:
        match event:
            case "leads":
                actor.state, actor.token = "leads", token
                self._view.say(time, f"{actor.name} leads now  (token {token})", "bold")
            case "left" if actor.state == "leads":
                actor.state = "follows"
                self._view.say(time, f"{actor.name} leads no more", "yellow")
            case "ready" if actor.state == "starting":
                actor.state = "follows"
            case "refused":
                self._view.say(time, f"{actor.name} was refused {clock_time(tick)}", "yellow")
            case "failed":
                self._view.say(time, f"{actor.name}: {error.splitlines()[0]}", "yellow")
