"""Replica: one running process taking part, with its identity, its store, its leases and the shared renewer."""

import atexit
import logging
import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload
from weakref import WeakSet

from . import dispatcher
from .candidacy import Candidacy, Driver
from .candidate import Candidate
from .clock import SYSTEM_CLOCK, Clock
from .config import Config, Seconds
from .errors import ConfigError
from .events import Event, Hook, ReplicaStarted
from .hooks.log import log_events
from .identity import identity_prefix, new_identity
from .locks import Store
from .locks.memory import SPACE
from .names import lease_name
from .registry import Registry
from .settings import Mode, Settings
from .signals import run_blocking
from .threads import new_lock

if TYPE_CHECKING:
    from .decorators import Decorator, StrictDecorator
    from .leaderships import Leadership
    from .locker import LeaseLocker

__all__ = ["Health", "LeaseHealth", "Participant", "Replica", "configure", "default_replica"]

logger = logging.getLogger("singleton_jobs")

EXIT_LIMIT = 2.0  # seconds that the interpreter's exit may wait for releases
FLUSH_LIMIT = 0.5  # seconds that it may wait for the last log lines
RELEASE_LIMIT = 10.0  # seconds that a close may wait for them


@dataclass(frozen=True, slots=True)
class LeaseHealth:
    """One started candidacy: who holds, and how many seconds ago the store last answered (None: never)."""

    lease: str
    is_leader: bool
    holder: str | None
    last_contact: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """``ok`` is False only if the renewal thread of a replica with started leases is stuck: restart the process then.

    A store that does not answer is no reason to restart: ``leases`` tells of it.
    """

    ok: bool
    identity: str
    store: str
    leases: tuple[LeaseHealth, ...]

    def __bool__(self) -> bool:
        return self.ok


class Participant(Protocol):
    """A leadership or a locker, as its replica sees it."""

    candidacy: Candidacy | None
    callbacks: list[Callable[[Event], object]]

    def begin_close(self) -> None:
        """Refuse new work, and leave once what runs has ended."""

    def after_fork(self) -> None:
        """Forget what belongs to the parent process."""


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What a replica found at its first use."""

    identity: str
    pod: str
    driver: Driver


class Replica:
    """One replica of a program, for explicit wiring; most programs use the default one through `configure`.

    ``store``: a URL, or an object with ``lock(lease, identity)``. ``namespace``: of the Leases. ``identity``: the
    readable prefix; a random suffix is always added. ``prefix`` is put before every lease name. ``config``: the
    timing of leases that name none. ``hooks`` are told every event. ``mode``: ``"always"`` runs every guarded
    function, ``"never"`` none. Nothing is read or sent before first use; bad values raise ConfigError.
    """

    def __init__(
        self,
        store: str | Any | None = None,
        namespace: str | None = None,
        identity: str | None = None,
        prefix: str = "",
        config: Config | None = None,
        hooks: Sequence[Hook] = (),
        mode: Mode = "auto",
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
        driver: Driver | None = None,
    ) -> None:
        self._settings = Settings(store, namespace, identity, prefix, config, tuple(hooks), mode)
        self._given_driver = driver
        self.clock = clock
        self._rng = rng or random.SystemRandom()
        self._phase = self._rng.random()
        self._start_anew()
        self._declared = Registry()
        self._leaderships: dict[str, Leadership] = {}
        self._lockers: WeakSet[LeaseLocker] = WeakSet()
        self.closed = False
        self._running = 0
        _replicas.add(self)

    def _start_anew(self) -> None:
        self._resolved: _Resolved | None = None
        self._store: Store | None = None
        self._announced = False
        self.mutex = new_lock()

    # What people use

    @property
    def identity(self) -> str:
        """``<pod>_<random>``, unique per process."""
        return self._resolve().identity

    def leadership(self, lease: str, config: Config | None = None) -> "Leadership":
        """The candidacy of this replica for ``lease``; inert until started. Same lease, same object."""
        from .leaderships import Leadership

        self.full_name(lease)
        known = self._leaderships.setdefault(lease.lower(), Leadership(self, lease, config))
        self.declare(lease, "a leadership", config, known)
        return known

    def locker(self, lease: str, config: Config | None = None) -> "LeaseLocker":
        """A new lock on ``lease``, with an identity of its own."""
        from .locker import LeaseLocker

        return LeaseLocker(lease, config=config, replica=self)

    @overload
    def leader_only(
        self, lease: str, *, on_skip: Literal["return"] = "return", config: Config | None = None
    ) -> "Decorator": ...
    @overload
    def leader_only(
        self, lease: str, *, on_skip: Literal["raise"], config: Config | None = None
    ) -> "StrictDecorator": ...
    def leader_only(self, lease: str, **options: Any) -> Any:
        """`singleton_jobs.leader_only` through this replica."""
        from .decorators import leader_only

        return leader_only(lease, replica=self, **options)

    @overload
    def exclusive(
        self,
        lease: str,
        wait: Seconds | None = 0,
        on_busy: Literal["skip"] = "skip",
        *,
        config: Config | None = None,
    ) -> "Decorator": ...
    @overload
    def exclusive(
        self, lease: str, wait: Seconds | None = 0, *, on_busy: Literal["raise"], config: Config | None = None
    ) -> "StrictDecorator": ...
    def exclusive(self, lease: str, wait: Seconds | None = 0, on_busy: Any = "skip", **options: Any) -> Any:
        """`singleton_jobs.exclusive` through this replica."""
        from .decorators import exclusive

        return exclusive(lease, wait=wait, on_busy=on_busy, replica=self, **options)

    def health(self) -> Health:
        """How the started candidacies are; starts none itself."""
        resolved = self._resolve()
        now = self.clock.now()
        leases, overdue = [], False
        for candidacy in self._candidacies():
            if not candidacy.started:
                continue
            term, contact = candidacy.term, candidacy.last_contact
            leases.append(
                LeaseHealth(
                    lease=candidacy.lease,
                    is_leader=term is not None and term.is_valid,
                    holder=candidacy.holder,
                    last_contact=None if contact is None else now - contact,
                    error=str(candidacy.error) if candidacy.error else None,
                )
            )
            overdue = overdue or now - candidacy.due > candidacy.config.renew_deadline
        return Health(not overdue, resolved.identity, self._described_store(), tuple(leases))

    def close(self, drain: float = 10) -> None:
        """Refuse new work, wait up to ``drain`` seconds for what runs, release everything; then stay closed."""
        run_blocking(self._close(drain, block=True))

    def __enter__(self) -> "Replica":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "Replica":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close(10, block=False)

    # What leaderships and lockers use

    @property
    def mode(self) -> Mode:
        """Whether guards ask (auto), run always, or never."""
        return self._settings.resolve_mode()

    def full_name(self, lease: str) -> str:
        """``lease`` as it is stored."""
        return lease_name(lease, self._settings.resolve_prefix())

    def default_config(self) -> Config:
        """The timing of leases that name none."""
        return self._settings.resolve_config()

    def open(self, lease: str, role: str, config: Config | None, owner: Participant, *, sticky: bool) -> Candidacy:
        """A candidacy of ``owner`` for ``lease``, not yet started."""
        name = self.full_name(lease)
        timing = config or self.default_config()
        if sticky and self.mode != "auto":  # no store is asked, so none has to be there
            return self._candidacy(name, SPACE, self.identity, timing, sticky=True)
        resolved, store = self._resolve(), self._find_store()
        _uses.claim((_key(store), name), name, role, timing, owner)
        identity = resolved.identity if sticky else new_identity(resolved.pod, self._rng)
        return self._candidacy(name, store, identity, timing, sticky=sticky, callbacks=owner.callbacks)

    def _candidacy(
        self,
        name: str,
        store: Store,
        identity: str,
        config: Config,
        *,
        sticky: bool,
        callbacks: Iterable[Callable[[Event], object]] = (),
    ) -> Candidacy:
        candidate = Candidate(identity, config, self._rng, self._phase)
        emit = partial(self.emit, callbacks=callbacks)
        driver = self._resolve().driver
        return Candidacy(name, candidate, store.lock(name, identity), self.clock, driver, emit, sticky=sticky)

    def declare(self, lease: str, role: str, config: Config | None, owner: object) -> None:
        """Refuse a bad name, and a second role or timing for one lease."""
        self._declared.claim(lease.lower(), self.full_name(lease), role, config or self.default_config(), owner)

    def add_locker(self, locker: "LeaseLocker", lease: str, config: Config | None) -> None:
        """Note a locker, so that it is closed with the replica."""
        self.declare(lease, "a locker", config, locker)
        self._lockers.add(locker)

    def pretended(self, lease: str) -> Candidacy:
        """What guards lead by in mode always, without asking anybody."""
        name = self.full_name(lease)
        candidacy = self._candidacy(name, SPACE, self.identity, self.default_config(), sticky=True)
        candidacy.pretend()
        return candidacy

    def announce(self, candidacy: Candidacy) -> None:
        """Tell hooks of the first candidacy, with all that was declared."""
        with self.mutex:
            first, self._announced = not self._announced, True
        if first:
            resolved = self._resolve()
            leases = tuple(sorted(self.full_name(str(lease)) for lease in self._declared.leases()))
            self.emit(ReplicaStarted(candidacy.lease, resolved.identity, self._described_store(), leases))

    def emit(self, event: Event, callbacks: Iterable[Callable[[Event], object]] = ()) -> None:
        """Tell the log, hooks and callbacks, away from the calling thread."""
        for listener in (log_events, *self._settings.hooks, *callbacks):
            dispatcher.dispatch(listener, event)

    def enter_running(self) -> None:
        """One more `running` round the program."""
        with self.mutex:
            self._running += 1
            reopen, self.closed = self.closed, False
        for candidacy in self._candidacies() if reopen else ():
            candidacy.reopen()

    async def exit_running(self, drain: float, *, block: bool) -> None:
        """One less; the last one closes the replica, until another is entered."""
        with self.mutex:
            self._running -= 1
            last = self._running == 0
        if last:
            self.closed = True
            await self.leave(drain, block=block)

    # Inner parts

    def _participants(self) -> list["Leadership | LeaseLocker"]:
        return [*self._leaderships.values(), *self._lockers]

    def _candidacies(self) -> list[Candidacy]:
        return [p.candidacy for p in self._participants() if p.candidacy is not None]

    def _resolve(self) -> _Resolved:
        with self.mutex:
            if self._resolved is None:
                from .renewer import shared_renewer

                pod = identity_prefix(self._settings.identity)
                driver = self._given_driver or shared_renewer()
                self._resolved = _Resolved(new_identity(pod, self._rng), pod, driver)
                _register_exit()
            return self._resolved

    def _find_store(self) -> Store:
        with self.mutex:
            if self._store is None:
                self._store, remark = self._settings.resolve_store()
                if remark:
                    logger.info(remark)
            return self._store

    def _described_store(self) -> str:
        if self._store is None:
            return "no store asked yet" if self.mode == "auto" else f"no store (mode {self.mode})"
        describe: Callable[[], str] | None = getattr(self._store, "describe", None)
        return describe() if describe else repr(self._store)

    async def _close(self, drain: float, *, block: bool) -> None:
        self.closed = True
        await self.leave(drain, block=block)
        for participant in self._participants():
            _uses.give_up(participant)

    async def leave(self, drain: float, *, block: bool, limit: float = RELEASE_LIMIT) -> None:
        """Drain, up to ``drain`` seconds, and release, up to ``limit`` more, all that was started, side by side."""
        participants = self._participants()
        for participant in participants:
            participant.begin_close()
        leaving = [candidacy for candidacy in self._candidacies() if candidacy.draining]
        until = self.clock.now() + drain
        for candidacy in leaving:
            await candidacy.wait_idle(until, block=block)
            candidacy.cut_drain()
        until = self.clock.now() + limit
        for candidacy in leaving:
            await candidacy.wait_left(until, block=block)

    def _after_fork_in_child(self) -> None:
        """Nothing is held here, and nobody is who the parent was; what was started starts again at its next use."""
        _inherited.append((self._resolved, self._store, self._candidacies()))
        self._start_anew()
        self._declared.after_fork()
        for participant in self._participants():
            participant.after_fork()


def _key(store: object) -> object:
    return getattr(store, "key", None) or id(store)


_replicas: WeakSet[Replica] = WeakSet()
_uses = Registry()
_inherited: list[object] = []  # kept referenced for ever: closing an inherited socket would close the parent's
_default: Replica | None = None
_exit_registered = False


def default_replica() -> Replica:
    """The process's own replica."""
    global _default
    if _default is None:
        _default = Replica()
    return _default


def configure(
    store: str | Any | None = None,
    namespace: str | None = None,
    identity: str | None = None,
    prefix: str = "",
    config: Config | None = None,
    hooks: Sequence[Hook] = (),
    mode: Mode = "auto",
) -> Replica:
    """Set up the process's default replica; parameters as for `Replica`.

    To be called before anything was guarded, locked or asked; ConfigError afterwards, and for bad values.
    """
    settings = Settings(store, namespace, identity, prefix, config, tuple(hooks), mode)
    replica = default_replica()
    if replica._resolved is not None:
        raise ConfigError("configure() must be called before the first use of a guard, a leadership or a locker")
    for lease in replica._declared.leases():
        lease_name(str(lease), settings.resolve_prefix())
    replica._settings = settings
    return replica


def _register_exit() -> None:
    global _exit_registered
    if not _exit_registered:
        _exit_registered = True
        atexit.register(_at_exit)


def _at_exit() -> None:
    """Release what no work is running under; the rest runs out by itself."""
    for replica in tuple(_replicas):
        if replica._resolved is not None and not replica.closed:
            replica.closed = True
            run_blocking(replica.leave(0, block=True, limit=EXIT_LIMIT))
    dispatcher.flush(FLUSH_LIMIT)


def _after_fork_in_child() -> None:
    global _uses
    _uses = Registry()
    for replica in tuple(_replicas):
        replica._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
