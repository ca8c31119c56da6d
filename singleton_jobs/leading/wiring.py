"""What a replica is made of once it is used; kept apart so that importing the library stays cheap."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

from ..concurrency.clock import Clock
from ..config import Config
from ..decisions.candidate import Candidate
from ..decisions.pace import Chance
from ..decisions.store_clock import StoreClock
from ..events import Event, Hook, Measurement, ReplicaStarted, RequestEnded
from ..hooks import dispatcher
from ..hooks.log import is_logged, log_events
from ..keys import keyed_name
from ..locks import Store
from ..locks.keyed import KeyedStore, keyed_store, own_lock
from ..locks.memory import SPACE
from ..locks.record import ResourceLock
from ..renewal.candidacy import Candidacy
from ..renewal.driving import Driver
from ..renewal.renewer import shared_renewer
from ..renewal.sweep import Sweep
from .bases import BasedLeases
from .settings import Settings

__all__ = ["Wiring"]

Callback = Callable[[Event], object]


class Wiring:
    """Store, driver and listeners of one replica in one process."""

    def __init__(
        self,
        settings: Settings,
        identity: str,
        pod: str,
        clock: Clock,
        rng: Chance,
        phase: float,
        driver: Driver | None,
    ) -> None:
        self.identity = identity
        self.pod = pod
        self.driver = driver or shared_renewer()
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._phase = phase
        self._store: Store | None = None
        self._keeps_keys: KeyedStore | None = None  # the store, once it was found to
        self._sweeps: dict[str, Sweep] = {}  # by base
        self.announced = False

    def store(self) -> Store:
        """The store, found when it is first asked for. Raises ConfigError if there is none."""
        if self._store is None:
            self._store, remark = self._settings.resolve_store()
            if remark:
                dispatcher.log(logging.INFO, remark)
        return self._store

    def store_key(self) -> object:
        """Equal for stores of the same leases."""
        store = self.store()
        return getattr(store, "key", None) or id(store)

    def described_store(self) -> str:
        """The store's name, for people."""
        if self._store is None:
            return "no store asked yet"
        describe: Callable[[], str] | None = getattr(self._store, "describe", None)
        return describe() if describe else repr(self._store)

    def candidacy(
        self,
        name: str,
        identity: str,
        config: Config,
        callbacks: Iterable[Callback],
        jobs: set[str],
        *,
        sticky: bool,
    ) -> Candidacy:
        """A candidacy for the lease called ``name`` in the store; ``jobs``: the ledger's keys of this program's own."""
        lock = self.store().lock(name, identity)
        made = self._candidacy(lock, name, self._candidate(identity, config), callbacks, sticky=sticky)
        made.fires.know(jobs)
        return made

    def of_base(
        self,
        leases: BasedLeases,
        key: str,
        identity: str,
        config: Config,
        callbacks: Iterable[Callback],
        jobs: set[str],
        *,
        lasting: bool,
    ) -> Candidacy:
        """A candidacy for the one of ``leases`` that is for ``key``; ``lasting``: also while nobody holds it, and then
        it is told of it. Raises ConfigError if the store keeps none that does not last.
        """
        base, clock = leases.base, leases.store_clock
        name = keyed_name(base, key)
        lock = self.store().lock(name, identity) if lasting else own_lock(self._keyed_store(), base, key, identity)
        candidate = self._candidate(identity, config, ephemeral=not lasting, store_clock=clock)
        made = self._candidacy(lock, name, candidate, callbacks, sticky=False, base=base, standing=lasting)
        made.fires.know(jobs)
        return made

    def sweep(self, base: str, config: Config) -> Sweep:
        """What deletes the leases of keys of ``base`` that nobody needs any more."""
        sweep = self._sweeps.get(base)
        if sweep is None:
            made = Sweep(base, self._keyed_store(), self.identity, config, self._clock, self.driver, self._rng)
            sweep = self._sweeps.setdefault(base, made)
        return sweep

    def _keyed_store(self) -> KeyedStore:
        if self._keeps_keys is None:
            self._keeps_keys = keyed_store(self.store())
        return self._keeps_keys

    def storeless(self, name: str, config: Config, callbacks: Iterable[Callback] = ()) -> Candidacy:
        """A candidacy that asks no store, and leads only if it is told to pretend."""
        lock = SPACE.lock(name, self.identity)
        return self._candidacy(lock, name, self._candidate(self.identity, config), callbacks, sticky=True)

    def _candidate(
        self, identity: str, config: Config, *, ephemeral: bool = False, store_clock: StoreClock | None = None
    ) -> Candidate:
        return Candidate(identity, config, self._rng, self._phase, ephemeral=ephemeral, store_clock=store_clock)

    def _candidacy(
        self,
        lock: ResourceLock,
        name: str,
        candidate: Candidate,
        callbacks: Iterable[Callback],
        *,
        sticky: bool,
        base: str = "",
        standing: bool = False,
    ) -> Candidacy:
        tell = partial(self.tell, callbacks=callbacks)
        return Candidacy(
            name,
            candidate,
            lock,
            self._clock,
            self.driver,
            tell,
            sticky=sticky,
            lane=id(self._store),
            base=base,
            standing=standing,
            measure=self._measure if self._settings.hooks else None,
        )

    def announce(self, lease: str, leases: tuple[str, ...]) -> None:
        """Tell of the replica's first candidacy, and of all that was declared by then."""
        self.announced = True
        self.tell(ReplicaStarted(lease, self.identity, self.described_store(), leases))

    def _measure(self, measurement: Measurement) -> None:
        for hook in self._settings.hooks:
            dispatcher.dispatch(hook, measurement, soon=not isinstance(measurement, RequestEnded))

    def tell(self, event: Event, callbacks: Iterable[Callback] = ()) -> None:
        """Tell the log, hooks and callbacks, away from the calling thread."""
        hooks: Iterable[Hook] = self._settings.hooks
        if is_logged(event):
            dispatcher.dispatch(log_events, event)
        for listener in (*hooks, *callbacks):
            dispatcher.dispatch(listener, event)
