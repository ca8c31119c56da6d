"""Core: what a replica is made of, behind the `Replica` that people hold; guards, lockers and integrations use it."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet, ref

from ..concurrency.clock import SYSTEM_CLOCK, Clock
from ..concurrency.forks import at_fork, home, notice_fork
from ..concurrency.synchronization import run_blocking
from ..concurrency.threads import new_lock
from ..config import Config
from ..errors import ConfigError, SingletonJobsError
from ..identity import identity_prefix, new_identity, new_nonce, readable, secure_random
from ..names import lease_name
from ..term import CURRENT_TERMS
from .lease_uses import ALL_KEYS, LeaseUses, User
from .participant import Participant, part_of
from .settings import Mode, Settings
from .taken import Taken

if TYPE_CHECKING:  # what is needed from the first use on is imported then
    from random import Random

    from ..events import Event
    from ..renewal.candidacy import Candidacy
    from ..renewal.driving import Driver
    from .leadership import Leadership
    from .wiring import Wiring

__all__ = ["EXIT_LIMIT", "RELEASE_LIMIT", "AnyReplica", "Core", "core_of", "default_core"]

EXIT_LIMIT = 2.0  # seconds that the interpreter's exit may wait for releases
RELEASE_LIMIT = 10.0  # seconds that a close may wait for releases
FLUSH_LIMIT = 0.5  # seconds that the interpreter's exit may wait for the last log lines


class Core:
    """One process taking part, with its identity, its store, its leases and the shared renewer."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: Random | None = None,
        driver: Driver | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.leaderships: dict[str, Leadership] = {}  # by the lease's name in lower case
        self.taken = Taken()
        self.closed = False
        self._given_driver = driver
        self._rng = rng or secure_random()
        self._phase = self._rng.random()
        self._declared = LeaseUses()
        # Oldest first; gone through while others add to it, which a WeakSet minds.
        self._lockers: dict[ref[Participant], None] = {}
        self._kept: set[Participant] = set()
        self._ended = False  # by `close`, for good
        self._left = False  # closed by the end of `running`, which is not for ever
        self._running: WeakSet[object] = WeakSet()  # one whose end was interrupted is gone
        self._start_anew()
        _cores.add(self)

    def _start_anew(self) -> None:
        self._wiring: Wiring | None = None
        self._mutex = new_lock()

    def but(self, **changes: Any) -> Core:
        """Another core, with other ``store``, ``namespace``, ``identity`` or ``prefix`` and else set up alike."""
        settings = self.settings._replace(**changes)
        return Core(settings, clock=self.clock, rng=self._rng, driver=self._given_driver)

    def configure(self, settings: Settings) -> bool:
        """Take over ``settings``, if nothing was used yet."""
        if self._wiring is None:
            for lease in self._leases():
                lease_name(lease, settings.resolve_prefix())
            self.settings = settings
        return self._wiring is None

    # What it was told

    @property
    def mode(self) -> Mode:
        """Whether guards ask (auto), run always, or never."""
        return self.settings.resolve_mode()

    def full_name(self, lease: str) -> str:
        """``lease`` as it is stored. Raises ConfigError for a name that cannot be one."""
        return lease_name(lease, self.settings.resolve_prefix())

    def default_config(self) -> Config:
        """The timing of leases that name none."""
        return self.settings.resolve_config()

    def timing(self, user: User) -> Config:
        """The timing of what ``user`` uses: its own, else what another user has named for it, else the default."""
        return user.config or self._declared.config(user.use) or self.default_config()

    # What participants use

    def declare(self, user: User, config: Config | None) -> None:
        """Refuse a bad name or timing, and a second role or timing for one lease."""
        if config is not None and not isinstance(config, Config):
            raise ConfigError(f"config must be a Config, not {config!r}")
        self._declared.use(user.use, self.full_name(user.name), user.role, config, user)

    def add_locker(self, part: Participant) -> None:
        """Note a locker, so that it is closed with the replica."""
        self._lockers[ref(part, self._lockers.pop)] = None

    def keep(self, part: Participant) -> None:
        """Have the end of the replica wait for ``part``, which is closing, though nobody else keeps it any more."""
        self._kept = {each for each in self._kept if each.candidacy and not each.candidacy.work.has_left}
        self._kept.add(part)

    def open(self, part: Participant) -> Candidacy:
        """A candidacy of ``part`` for its lease, not yet started. Raises ConfigError if there is no store."""
        name, wiring, timing = part.lease, self.wiring(), part.timing
        if part.sticky and self.mode != "auto":  # no store is asked, so none has to be there
            return wiring.storeless(name, timing, part.callbacks)
        with self._mutex:
            _uses.use((wiring.store_key(), name), name, part.role, timing, part)
        identity = wiring.identity if part.sticky else self.locker_identity(None)
        return wiring.candidacy(name, identity, timing, part.callbacks, part.jobs, sticky=part.sticky)

    def locker_identity(self, task: str | None) -> str:
        """A new identity for a lock, which carries the id of the task that it is taken for."""
        pod = self.wiring().pod
        return new_identity(f"{pod}_{readable(task)}" if task else pod, self._rng)

    def nonce(self) -> str:
        """A new nonce for a claim."""
        return new_nonce(self._rng)

    def pretended(self, lease: str) -> Candidacy:
        """What guards go by in mode always; ``lease`` as it would be stored."""
        made = self.wiring().storeless(lease, self.default_config())
        made.pretend()
        return made

    def announce(self, candidacy: Candidacy) -> None:
        """Tell hooks of the first candidacy, with all that was declared."""
        if not self.wiring().announced:
            leases = sorted(map(self.full_name, self._leases()))
            self.wiring().announce(candidacy.lease, tuple(leases))

    def emit(self, event: Event, callbacks: Iterable[Callable[[Event], object]]) -> None:
        """Tell the log, hooks and ``callbacks``, away from the calling thread."""
        self.wiring().tell(event, callbacks)

    def candidacies(self) -> list[Candidacy]:
        """Those that were opened."""
        return [part.candidacy for part in self._participants() if part.candidacy is not None]

    def wiring(self) -> Wiring:
        """Store, driver and listeners, wired at the first use in this process."""
        home()  # notices a fork; from now on that takes no system call, on a follower too
        with self._mutex:
            if self._wiring is None:
                from .wiring import Wiring

                pod = identity_prefix(self.settings.identity)
                identity = new_identity(pod, self._rng)
                self._wiring = Wiring(
                    self.settings, identity, pod, self.clock, self._rng, self._phase, self._given_driver
                )
                _register_exit()
            return self._wiring

    # Its end

    def enter_running(self, who: object) -> None:
        """One more `running` round the program. Raises SingletonJobsError after `close`."""
        if self._ended:
            raise SingletonJobsError("the replica is closed: nothing runs on it any more")
        self._running.add(who)
        self._reopen()

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
            self._reopen()
        return not self.closed

    async def close(self, drain: float, *, block: bool) -> None:
        """`leave`, for good."""
        self._ended = self.closed = True
        await self.leave(drain, block=block)
        _uses.give_up(*self._participants())

    async def leave(self, drain: float, *, block: bool, limit: float = RELEASE_LIMIT) -> None:
        """Drain, up to ``drain`` seconds, and release, up to ``limit`` more, all that was started, side by side."""
        notice_fork()
        for part in self._participants():
            part.begin_close()
        own = CURRENT_TERMS.get()  # work that closes the replica it runs under: that happens when it has ended
        leaving = [each for each in self.candidacies() if each.work.ending and each.last_term not in own]
        until = self.clock.now() + drain
        for candidacy in leaving:
            await candidacy.work.wait_idle(until, block=block)
            candidacy.work.cut_drain()
        until = self.clock.now() + limit
        for candidacy in leaving:
            await candidacy.work.wait_left(until, block=block)

    def leave_at_exit(self) -> None:
        """Release what no work is running under; the rest runs out by itself."""
        if self._wiring is not None and not self.closed:
            self.closed = True
            run_blocking(self.leave(0, block=True, limit=EXIT_LIMIT))

    def after_fork(self) -> None:
        """Nothing is held here, and nobody is who the parent was; what was started starts again at its next use."""
        _inherited.append((self._wiring, self.candidacies()))
        self._start_anew()
        self._declared.after_fork()
        for part in self._participants():
            part.after_fork()

    def _leases(self) -> set[str]:
        return {str(lease).removesuffix(ALL_KEYS) for lease in self._declared.leases()}

    def _reopen(self) -> None:
        with self._mutex:
            if self.closed:
                for candidacy in self.candidacies():
                    candidacy.work.reopen()
                self.closed, self._left = False, False

    def _participants(self) -> list[Participant]:
        lockers = (each() for each in self._lockers.copy())  # in one step, whatever is collected meanwhile
        return [*map(part_of, self.leaderships.values()), *filter(None, lockers)]


class AnyReplica(Protocol):
    """A `Replica`, as those see it who need its core only."""

    _core: Core


def core_of(replica: AnyReplica) -> Core:
    """What is behind a `Replica`. Raises ConfigError for anything else."""
    core = getattr(replica, "_core", None)
    if not isinstance(core, Core):
        raise ConfigError(f"replica must be a Replica, not {replica!r}")
    return core


def default_core() -> Core:
    """The core of the process's own replica."""
    global _default
    if _default is None:
        _default = Core(Settings())
    return _default


_default: Core | None = None
_cores: WeakSet[Core] = WeakSet()
_uses = LeaseUses()
_inherited: list[object] = []  # kept referenced for ever: closing an inherited socket would close the parent's
_exit_registered = False


def _register_exit() -> None:
    global _exit_registered
    if not _exit_registered:
        _exit_registered = True
        atexit.register(_at_exit)


def _at_exit() -> None:
    notice_fork()
    for core in tuple(_cores):
        core.leave_at_exit()
    from ..hooks.dispatcher import flush

    flush(FLUSH_LIMIT)


def _after_fork_in_child() -> None:
    global _uses
    _uses = LeaseUses()
    for core in tuple(_cores):
        core.after_fork()


at_fork(_after_fork_in_child)
