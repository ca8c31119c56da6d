"""What a replica is made of once it is used; kept apart so that importing the library stays cheap."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

from ..concurrency.clock import Clock
from ..config import Config
from ..decisions.candidate import Candidate
from ..decisions.pace import Chance
from ..events import Event, Hook, Measurement, ReplicaStarted, RequestEnded
from ..hooks import dispatcher
from ..hooks.log import log_events
from ..locks import Store
from ..locks.memory import SPACE
from ..renewal.candidacy import Candidacy, Driver
from ..renewal.renewer import shared_renewer
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
        self._announced = False

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
        made = self._candidacy(self.store(), name, identity, config, callbacks, sticky=sticky)
        made.fires.know(jobs)
        return made

    def storeless(self, name: str, config: Config, callbacks: Iterable[Callback] = ()) -> Candidacy:
        """A candidacy that asks no store, and leads only if it is told to pretend."""
        return self._candidacy(SPACE, name, self.identity, config, callbacks, sticky=True)

    def _candidacy(
        self, store: Store, name: str, identity: str, config: Config, callbacks: Iterable[Callback], *, sticky: bool
    ) -> Candidacy:
        candidate = Candidate(identity, config, self._rng, self._phase)
        tell = partial(self.tell, callbacks=callbacks)
        lock = store.lock(name, identity)
        return Candidacy(
            name,
            candidate,
            lock,
            self._clock,
            self.driver,
            tell,
            sticky=sticky,
            lane=id(store),
            measure=self._measure if self._settings.hooks else None,
        )

    def announce(self, lease: str, leases: tuple[str, ...]) -> None:
        """Tell of the replica's first candidacy, and of all that was declared by then."""
        if not self._announced:
            self._announced = True
            self.tell(ReplicaStarted(lease, self.identity, self.described_store(), leases))

    def _measure(self, measurement: Measurement) -> None:
        for hook in self._settings.hooks:
            dispatcher.dispatch(hook, measurement, soon=not isinstance(measurement, RequestEnded))

    def tell(self, event: Event, callbacks: Iterable[Callback] = ()) -> None:
        """Tell the log, hooks and callbacks, away from the calling thread."""
        hooks: Iterable[Hook] = self._settings.hooks
        for listener in (log_events, *hooks, *callbacks):
            dispatcher.dispatch(listener, event)
