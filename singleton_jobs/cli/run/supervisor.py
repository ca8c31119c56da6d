"""A program as a singleton: started when the lease is gained, ended in time before another may take it over."""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socket
import threading
from typing import Literal

from ...concurrency.clock import SYSTEM_CLOCK
from ...config import Config
from ...decisions.hold import Ended
from ...leading.leadership import Leadership
from ...leading.participant import part_of
from ...replica import Replica, replica_on
from ...term import Term
from .keeper import FORWARDED, Keeper, heeded, messages, send

__all__ = ["CannotStart", "Supervisor", "kill_by"]

BEFORE_TAKEOVER = 0.5  # seconds before another may take the lease, by which the child is dead
SHORTEST = 0.02  # seconds between two looks at a child that is being killed
SETTLING = 5.0  # seconds, past the grace, for a killed child to be gone

logger = logging.getLogger("singleton_jobs.run")


class CannotStart(Exception):
    """The command cannot be run."""


def kill_by(
    config: Config, now: float, remaining: float, ended: Ended | None, ended_ago: float, grace_until: float
) -> float:
    """When the child is killed if nothing changes.

    Renewals that are not acknowledged end a hold ``renew_deadline`` after the last one was sent, and others wait for
    the whole ``lease_duration``: what lies between is the child's to end by itself. A hold that ended in any other way
    may be another's already.
    """
    spare = config.lease_duration - config.renew_deadline - BEFORE_TAKEOVER
    if ended is None:
        return min(now + remaining + spare, grace_until)
    return min(now - ended_ago + spare, grace_until) if ended == "expired" else now


class Supervisor:
    """Tells a keeper, a process of its own, what to do with the program under each term.

    ``grace``: seconds that the program has to end by itself.
    """

    def __init__(self, command: list[str], grace: float) -> None:
        self.code = 0  # the exit status of what ran last
        self._command = command
        self._grace = grace
        self._stop_with = signal.SIGTERM
        self._leaving = False
        self._child: int | None = None
        self._sending = threading.Lock()
        self._rest = bytearray()

    def start(self) -> None:
        """Fork the keeper: before any thread is started, as a fork takes none along, but the locks that they held."""
        self._link, theirs = socket.socketpair()
        if os.fork() == 0:
            self._link.close()
            Keeper(theirs, self._command).serve()
        theirs.close()
        self._bell_out, self._bell_in = os.pipe()
        os.set_blocking(self._bell_in, False)

    def run(self, leadership: Leadership, config: Config) -> int:
        """Until the child ends by itself, or a signal ends everything: the exit status."""
        replica = replica_on(part_of(leadership).core)
        signals_out, signals_in = os.pipe()
        os.set_blocking(signals_in, False)
        signal.set_wakeup_fd(signals_in, warn_on_full_buffer=False)
        for number in heeded():
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGCHLD, self._reap_orphans)
        threading.Thread(target=self._pass_on, args=(signals_out, replica), daemon=True).start()
        leadership.run_sync(lambda term: self._under(term, config))
        return self.code

    def _under(self, term: Term, config: Config) -> None:
        """One term: the child's whole life."""
        if self._leaving:
            return
        forget = term._call_when_lost(self._ring)
        try:
            self._start(term, config)
            grace_until, stopping = math.inf, False
            while True:
                now = SYSTEM_CLOCK.now()
                stop = not term.is_valid or term.lost.is_set() or self._leaving
                if stop and not stopping and term.is_valid:
                    grace_until = now + self._grace
                until = kill_by(config, now, term.remaining, term.ended, term.ended_ago, grace_until)
                self._tell({"kill_at": until})
                if stop and not stopping:
                    stopping = True
                    logger.info("ending the program: %s", term.ending or "the lease is to be given back")
                    self._tell({"signal": self._stop_with})
                news = self._news(min(config.retry_period / 2, max(SHORTEST, until - now)))
                if news == "late" and term.is_valid:  # it was renewed meanwhile
                    self._start(term, config)
                elif news:
                    return
        finally:
            forget()

    def _start(self, term: Term, config: Config) -> None:
        environment = os.environ | {
            "SINGLETON_JOBS_LEASE": term.lease,
            "SINGLETON_JOBS_FENCING_TOKEN": str(term.fencing_token),
        }
        now = SYSTEM_CLOCK.now()
        until = kill_by(config, now, term.remaining, None, 0, math.inf)
        self._tell({"start": environment, "valid_until": now + term.remaining, "kill_at": until})

    def _news(self, timeout: float) -> Literal["ended", "late"] | None:
        """Wait for what becomes of the child: it has ended, or was not started as the term seemed to be over."""
        ready = select.select([self._link.fileno(), self._bell_out], [], [], timeout)[0]
        if self._bell_out in ready:
            os.read(self._bell_out, 512)
        for message in messages(self._link, self._rest) if self._link.fileno() in ready else ():
            if message is None:
                if self._child is not None:
                    os.killpg(self._child, signal.SIGKILL)
                raise CannotStart("the process that watched over the program has died, so the program was killed")
            if "failed" in message:
                raise CannotStart(message["failed"])
            if "started" in message:
                self._child = message["started"]
                logger.info("started the program as process %d", self._child)
            if "late" in message:
                return "late"
            if "ended" in message:
                self._child, code = None, message["ended"]
                self.code = 128 - code if code < 0 else code
                logger.info("the program has ended with status %d", self.code)
                return "ended"
        return None

    def _tell(self, message: dict[str, object]) -> None:
        with self._sending:
            send(self._link, message)

    def _ring(self) -> None:
        os.write(self._bell_in, b"!")

    def _pass_on(self, signals: int, replica: Replica) -> None:
        """A thread of its own: signals are the child's; the first that asks for an end also gives the lease back."""
        while True:
            for number in os.read(signals, 512):
                if number not in FORWARDED:
                    continue
                if number in (signal.SIGTERM, signal.SIGINT) and not self._leaving:
                    self._stop_with = signal.Signals(number)
                    self.code = 128 + number  # unless a child says otherwise
                    self._leaving = True
                    self._ring()
                    threading.Thread(target=replica.close, args=(self._grace + SETTLING,), daemon=True).start()
                else:
                    self._tell({"signal": number})

    def _reap_orphans(self, *_: object) -> None:
        """As process 1, whatever loses its parent becomes ours."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
