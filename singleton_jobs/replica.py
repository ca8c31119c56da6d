"""Replica: one running process taking part, for programs that wire it themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from .concurrency.clock import SYSTEM_CLOCK, Clock
from .concurrency.synchronization import run_blocking
from .config import Config, Seconds, seconds
from .errors import ConfigError
from .health import Health, LeaseHealth
from .leading.core import Core
from .leading.keyed import NO_KEY
from .leading.participant import part_of
from .leading.settings import Mode, Settings
from .reruns import MAX_ATTEMPTS, Interrupted

if TYPE_CHECKING:  # what is needed from the first use on is imported then
    from random import Random

    from .events import Hook
    from .guards.decorators import Decorator, StrictDecorator
    from .leading.leadership import Leadership
    from .leading.locker import LeaseLocker
    from .renewal.driving import Driver

__all__ = ["Replica", "replica_on"]

STUCK_AFTER = 10.0  # seconds without a sign of life from the renewal thread
DRAIN = 10.0  # seconds that running work has at the end of an `async with`


class Replica:
    """One replica of a program, for explicit wiring; most programs use the default one through `configure`.

    ``store``: a URL, or an object with ``lock(lease, identity)``. ``namespace``: of the Leases. ``identity``: the
    readable prefix; a random suffix is always added. ``prefix`` is put before every lease name. ``config``: the
    timing of leases that name none. ``hooks`` are told every event. ``mode``: ``"always"`` runs every guarded
    function, ``"never"`` none. Nothing is read or sent before first use; bad values raise ConfigError.
    """

    _core: Core

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
        settings = Settings(store, namespace, identity, prefix, config, hooks, mode)
        self._core = Core(settings, clock=clock, rng=rng, driver=driver)

    @property
    def identity(self) -> str:
        """``<pod>_<random>``, unique per process."""
        return self._core.wiring().identity

    @property
    def mode(self) -> Mode:
        """Whether guards ask (auto), run always, or never."""
        return self._core.mode

    def leadership(self, lease: str, config: Config | None = None) -> Leadership:
        """The candidacy of this replica for ``lease``; inert until started. Same lease, same object."""
        from .leading.leadership import Leadership

        core = self._core
        core.full_name(lease)
        known = core.leaderships.get(lease.lower()) or Leadership(core, lease, config)
        part = part_of(known)
        if config is not None and config != part.timing:
            raise ConfigError(f"lease {lease!r} has another Config already: {part.timing}")
        core.declare(part, config or part.config)
        return core.leaderships.setdefault(lease.lower(), known)

    def locker(self, lease: str, config: Config | None = None, *, key: Any = NO_KEY) -> LeaseLocker:
        """A new lock on ``lease``, or on that of one ``key``, with an identity of its own."""
        from .leading.locker import LeaseLocker

        return LeaseLocker(lease, key=key, config=config, replica=self)

    @overload
    def leader_only(
        self,
        lease: str,
        job: str | None = None,
        at_most_every: Seconds | None = None,
        on_skip: Literal["return"] = "return",
        *,
        interrupted: Interrupted = "skip",
        max_attempts: int = MAX_ATTEMPTS,
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
        interrupted: Interrupted = "skip",
        max_attempts: int = MAX_ATTEMPTS,
        config: Config | None = None,
    ) -> StrictDecorator: ...
    def leader_only(self, lease: str, *arguments: Any, **options: Any) -> Any:
        """`singleton_jobs.leader_only` through this replica."""
        from .guards.decorators import leader_only

        return leader_only(self.leadership, lease, *arguments, **options)

    @overload
    def exclusive(
        self,
        lease: str,
        wait: Seconds | None = 0,
        on_busy: Literal["skip"] = "skip",
        at_most_every: Seconds | None = None,
        *,
        key: str | Callable[..., object] | None = None,
        job: str | None = None,
        interrupted: Interrupted = "skip",
        max_attempts: int = MAX_ATTEMPTS,
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
        key: str | Callable[..., object] | None = None,
        job: str | None = None,
        interrupted: Interrupted = "skip",
        max_attempts: int = MAX_ATTEMPTS,
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
        key: str | Callable[..., object] | None = None,
        job: str | None = None,
        interrupted: Interrupted = "skip",
        max_attempts: int = MAX_ATTEMPTS,
        config: Config | None = None,
    ) -> Decorator: ...
    def exclusive(self, lease: str, *arguments: Any, **options: Any) -> Any:
        """`singleton_jobs.exclusive` through this replica."""
        from .guards.decorators import exclusive

        return exclusive(self, lease, *arguments, **options)

    def health(self) -> Health:
        """How the started candidacies are; starts none itself."""
        core = self._core
        wiring, now = core.wiring(), core.clock.now()
        leases = []
        for candidacy in core.candidacies():
            if not candidacy.started:
                continue
            term, contact = candidacy.term, candidacy.contacted_at
            leases.append(
                LeaseHealth(
                    lease=candidacy.lease,
                    is_leader=term is not None and term.is_valid,
                    holder=candidacy.holder,
                    last_contact=None if contact is None else now - contact,
                    error=str(candidacy.error) if candidacy.error else None,
                    state=candidacy.state,
                    learns_by=candidacy.following.how,
                )
            )
        stuck = wiring.driver.unanswered() > STUCK_AFTER
        return Health(not stuck, wiring.identity, wiring.described_store(), tuple(leases))

    def close(self, drain: Seconds = 10) -> None:
        """Refuse new work, wait up to ``drain`` seconds for what runs, release everything; then stay closed."""
        run_blocking(self._core.close(seconds("drain", drain, zero=True), block=True))

    def __enter__(self) -> Replica:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Replica:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._core.close(DRAIN, block=False)


def replica_on(core: Core) -> Replica:
    """What people may hold of ``core``; a replica keeps nothing itself."""
    replica = Replica.__new__(Replica)
    replica._core = core  # noqa: SLF001 (made here)
    return replica
