"""Replica: one running process taking part, with its identity, its store, its leases and the shared renewer."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload
from weakref import WeakSet

from .concurrency.clock import SYSTEM_CLOCK, Clock
from .concurrency.forks import at_fork, notice_fork
from .concurrency.synchronization import run_blocking
from .concurrency.threads import new_lock
from .config import Config, Seconds, seconds
from .errors import ConfigError, SingletonJobsError
from .health import Health, LeaseHealth
from .identity import identity_prefix, new_identity, new_nonce, readable, secure_random
from .leading.lease_uses import LeaseUses
from .leading.settings import Mode, Settings
from .names import lease_name
from .term import CURRENT_TERMS

if TYPE_CHECKING:  # what is needed from the first use on is imported then
    from random import Random

    from .events import Event, Hook
    from .guards.decorators import Decorator, StrictDecorator
    from .leading.leadership import Leadership
    from .leading.locker import LeaseLocker
    from .leading.wiring import Wiring
    from .renewal.candidacy import Candidacy, Driver

__all__ = ["Participant", "Replica"]

EXIT_LIMIT = 2.0  # seconds that the interpreter's exit may wait for releases
STUCK_AFTER = 10.0  # seconds without a sign of life from the renewal thread
FLUSH_LIMIT = 0.5  # seconds that it may wait for the last log lines
RELEASE_LIMIT = 10.0  # seconds that a close may wait for them


class Participant(Protocol):
    """A leadership or a locker, as its replica sees it."""

    candidacy: Candidacy | None
    callbacks: list[Callable[[Event], object]]
    jobs: set[str]

    def begin_close(self) -> None:
        """Refuse new work, and leave once what runs has ended."""

    def after_fork(self) -> None:
        """Forget what belongs to the parent process."""


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
        rng: Random | None = None,
        driver: Driver | None = None,
    ) -> None:
        self._settings = Settings(store, namespace, identity, prefix, config, tuple(hooks), mode)
        self._given_driver = driver
        self.clock = clock
        self._rng = rng or secure_random()
        self._phase = self._rng.random()
        self._start_anew()
        self._declared = LeaseUses()
        self._leaderships: dict[str, Leadership] = {}
        self._lockers: WeakSet[LeaseLocker] = WeakSet()
        self.taken: set[LeaseLocker] = set()  # a lock that was taken outlives whoever forgot it
        self.closed = False
        self._ended = False  # by `close`, for good
        self._left = False  # closed by the end of `running`, which is not for ever
        self._running: WeakSet[object] = WeakSet()  # one whose end was interrupted is gone
        _replicas.add(self)

    def _start_anew(self) -> None:
        self._wiring: Wiring | None = None
        self._mutex = new_lock()

    # What people use

    @property
    def identity(self) -> str:
        """``<pod>_<random>``, unique per process."""
        return self._wire().identity

    def leadership(self, lease: str, config: Config | None = None) -> Leadership:
        """The candidacy of this replica for ``lease``; inert until started. Same lease, same object."""
        from .leading.leadership import Leadership

        self.full_name(lease)
        known = self._leaderships.get(lease.lower()) or Leadership(self, lease, config)
        if config is not None and config != (known.config or self.default_config()):
            raise ConfigError(f"lease {lease!r} has another Config already: {known.config or self.default_config()}")
        self.declare(lease, "a leadership", config or known.config, known)
        return self._leaderships.setdefault(lease.lower(), known)

    def locker(self, lease: str, config: Config | None = None) -> LeaseLocker:
        """A new lock on ``lease``, with an identity of its own."""
        from .leading.locker import LeaseLocker

        return LeaseLocker(lease, config=config, replica=self)

    @overload
    def leader_only(
        self,
        lease: str,
        job: str | None = None,
        at_most_every: Seconds | None = None,
        on_skip: Literal["return"] = "return",
        *,
        config: Config | None = None,
    ) -> Decorator: ...
    @overload
    def leader_only(
        self,
        lease: str,
        job: str | None = None,
        at_most_every: Seconds | None = None,
        *,
        on_skip: Literal["raise"],
        config: Config | None = None,
    ) -> StrictDecorator: ...
    def leader_only(self, lease: str, *arguments: Any, **options: Any) -> Any:
        """`singleton_jobs.leader_only` through this replica."""
        from .guards.decorators import leader_only

        return leader_only(lease, *arguments, replica=self, **options)

    @overload
    def exclusive(
        self,
        lease: str,
        wait: Seconds | None = 0,
        on_busy: Literal["skip"] = "skip",
        at_most_every: Seconds | None = None,
        *,
        job: str | None = None,
        config: Config | None = None,
    ) -> Decorator: ...
    @overload
    def exclusive(
        self,
        lease: str,
        wait: Seconds | None = 0,
        *,
        on_busy: Literal["raise"],
        at_most_every: Seconds | None = None,
        job: str | None = None,
        config: Config | None = None,
    ) -> StrictDecorator: ...
    @overload
    def exclusive(
        self,
        lease: str,
        wait: Seconds | None = 0,
        *,
        on_busy: Literal["retry"],
        countdown: Seconds | None = None,
        at_most_every: Seconds | None = None,
        job: str | None = None,
        config: Config | None = None,
    ) -> Decorator: ...
    def exclusive(self, lease: str, *arguments: Any, **options: Any) -> Any:
        """`singleton_jobs.exclusive` through this replica."""
        from .guards.decorators import exclusive

        return exclusive(lease, *arguments, replica=self, **options)

    def health(self) -> Health:
        """How the started candidacies are; starts none itself."""
        wiring = self._wire()
        now = self.clock.now()
        leases = []
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
                    state=candidacy.state,
                )
            )
        stuck = wiring.driver.unanswered() > STUCK_AFTER
        return Health(not stuck, wiring.identity, wiring.described_store(), tuple(leases))

    def close(self, drain: Seconds = 10) -> None:
        """Refuse new work, wait up to ``drain`` seconds for what runs, release everything; then stay closed."""
        run_blocking(self._close(seconds("drain", drain, zero=True), block=True))

    def __enter__(self) -> Replica:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Replica:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close(10, block=False)

    # What leaderships, lockers and integrations use

    def but(self, **changes: Any) -> Replica:
        """Another replica, with other ``store``, ``namespace``, ``identity`` or ``prefix`` and else set up alike."""
        other = Replica(clock=self.clock, rng=self._rng, driver=self._given_driver)
        other._settings = self._settings.but(**changes)
        return other

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
        name, wiring, timing = self.full_name(lease), self._wire(), config or self.default_config()
        if sticky and self.mode != "auto":  # no store is asked, so none has to be there
            return wiring.storeless(name, timing, owner.callbacks)
        with self._mutex:
            _uses.use((wiring.store_key(), name), name, role, timing, owner)
        identity = wiring.identity if sticky else self.locker_identity(None)
        return wiring.candidacy(name, identity, timing, owner.callbacks, owner.jobs, sticky=sticky)

    def locker_identity(self, task: str | None) -> str:
        """A new identity for a lock, which carries the id of the task that it is taken for."""
        pod = self._wire().pod
        return new_identity(f"{pod}_{readable(task)}" if task else pod, self._rng)

    def nonce(self) -> str:
        """A new nonce for a claim."""
        return new_nonce(self._rng)

    def declare(self, lease: str, role: str, config: Config | None, owner: object) -> None:
        """Refuse a bad name or timing, and a second role or timing for one lease."""
        if config is not None and not isinstance(config, Config):
            raise ConfigError(f"config must be a Config, not {config!r}")
        self._declared.use(lease.lower(), self.full_name(lease), role, config, owner)

    def add_locker(self, locker: LeaseLocker, lease: str, config: Config | None) -> None:
        """Note a locker, so that it is closed with the replica."""
        self.declare(lease, "a locker", config, locker)
        self._lockers.add(locker)

    def pretended(self, lease: str) -> Candidacy:
        """What guards go by in mode always."""
        made = self._wire().storeless(self.full_name(lease), self.default_config())
        made.pretend()
        return made

    def announce(self, candidacy: Candidacy) -> None:
        """Tell hooks of the first candidacy, with all that was declared."""
        leases = sorted(self.full_name(str(lease)) for lease in self._declared.leases())
        self._wire().announce(candidacy.lease, tuple(leases))

    def emit(self, event: Event, owner: Participant) -> None:
        """Tell the log, hooks and the owner's callbacks, away from the calling thread."""
        self._wire().tell(event, owner.callbacks)

    def configure(self, settings: Settings) -> bool:
        """Take over ``settings``, if nothing was used yet."""
        if self._wiring is None:
            for lease in self._declared.leases():
                lease_name(str(lease), settings.resolve_prefix())
            self._settings = settings
        return self._wiring is None

    def enter_running(self, who: object) -> None:
        """One more `running` round the program. Raises SingletonJobsError after `close`."""
        if self._ended:
            raise SingletonJobsError("the replica is closed: nothing runs on it any more")
        self._running.add(who)
        self.reopen()

    async def exit_running(self, who: object, drain: float, *, block: bool) -> None:
        """One less; the last one closes the replica, with up to ``drain`` seconds for what runs, until the next."""
        self._running.discard(who)
        if not self._running:
            self.closed, self._left = True, False
            try:
                await self.leave(drain, block=block)
            finally:
                self._left = True

    def forget_running(self, who: object) -> None:
        """Count it no more."""
        self._running.discard(who)

    def rejoin(self) -> bool:
        """Take part again if the last `running` has ended; whether the replica is open."""
        notice_fork()
        if self._left and not self._ended:
            self.reopen()
        return not self.closed

    def reopen(self) -> None:
        """Take part again."""
        with self._mutex:
            if self.closed:
                for candidacy in self._candidacies():
                    candidacy.reopen()
                self.closed, self._left = False, False

    # Inner parts

    def _participants(self) -> list[Leadership | LeaseLocker]:
        return [*self._leaderships.values(), *self._lockers]

    def _candidacies(self) -> list[Candidacy]:
        return [p.candidacy for p in self._participants() if p.candidacy is not None]

    def _wire(self) -> Wiring:
        notice_fork()
        with self._mutex:
            if self._wiring is None:
                from .leading.wiring import Wiring

                pod = identity_prefix(self._settings.identity)
                identity = new_identity(pod, self._rng)
                self._wiring = Wiring(
                    self._settings, identity, pod, self.clock, self._rng, self._phase, self._given_driver
                )
                _register_exit()
            return self._wiring

    async def _close(self, drain: float, *, block: bool) -> None:
        self._ended = self.closed = True
        await self.leave(drain, block=block)
        for participant in self._participants():
            _uses.give_up(participant)

    async def leave(self, drain: float, *, block: bool, limit: float = RELEASE_LIMIT) -> None:
        """Drain, up to ``drain`` seconds, and release, up to ``limit`` more, all that was started, side by side."""
        notice_fork()
        participants = self._participants()
        for participant in participants:
            participant.begin_close()
        own = CURRENT_TERMS.get()  # work that closes the replica it runs under: that happens when it has ended
        leaving = [each for each in self._candidacies() if each.ending and each.last_term not in own]
        until = self.clock.now() + drain
        for candidacy in leaving:
            await candidacy.wait_idle(until, block=block)
            candidacy.cut_drain()
        until = self.clock.now() + limit
        for candidacy in leaving:
            await candidacy.wait_left(until, block=block)

    def _after_fork_in_child(self) -> None:
        """Nothing is held here, and nobody is who the parent was; what was started starts again at its next use."""
        _inherited.append((self._wiring, self._candidacies()))
        self._start_anew()
        self._declared.after_fork()
        for participant in self._participants():
            participant.after_fork()


_replicas: WeakSet[Replica] = WeakSet()
_uses = LeaseUses()
_inherited: list[object] = []  # kept referenced for ever: closing an inherited socket would close the parent's
_exit_registered = False


def _register_exit() -> None:
    global _exit_registered
    if not _exit_registered:
        _exit_registered = True
        atexit.register(_at_exit)


def _at_exit() -> None:
    """Release what no work is running under; the rest runs out by itself."""
    notice_fork()
    for replica in tuple(_replicas):
        if replica._wiring is not None and not replica.closed:  # noqa: SLF001 (a replica's own module)
            replica.closed = True
            run_blocking(replica.leave(0, block=True, limit=EXIT_LIMIT))
    from .hooks.dispatcher import flush

    flush(FLUSH_LIMIT)


def _after_fork_in_child() -> None:
    global _uses
    _uses = LeaseUses()
    for replica in tuple(_replicas):
        replica._after_fork_in_child()  # noqa: SLF001 (a replica's own module)


at_fork(_after_fork_in_child)
