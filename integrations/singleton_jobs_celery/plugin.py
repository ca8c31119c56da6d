"""The alias ``singleton`` of ``celery beat --scheduler``: guards whatever scheduler the app names."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.beat import PersistentScheduler, Scheduler
from celery.utils.imports import load_extension_class_names, symbol_by_name

from singleton_jobs import ConfigError

from .mixin import SingletonMixin
from .settings import Settings

__all__ = ["singleton"]

_guarded: dict[type[Scheduler], type[Scheduler]] = {}


def singleton(app: Celery, **options: Any) -> Scheduler:
    """The guarded scheduler of ``app``: of the class that ``beat_scheduler`` names, else beat's own.

    Where ``beat_scheduler`` is ``"singleton"`` itself, ``app.conf.singleton_jobs["scheduler"]`` names it. Raises
    ConfigError for settings that cannot work.
    """
    return _guard(_inner(app))(app=app, **options)


def _inner(app: Celery) -> Any:
    name = Settings.of(app).inner or app.conf.beat_scheduler
    aliases = dict(load_extension_class_names("celery.beat_schedulers"))
    inner: Any = symbol_by_name(name, aliases=aliases)
    if inner is singleton:
        return PersistentScheduler
    if not (isinstance(inner, type) and issubclass(inner, Scheduler)):
        raise ConfigError(f"only a class of schedulers can be guarded: {name!r} is {inner!r}")
    return inner


def _guard(inner: type[Scheduler]) -> type[Scheduler]:
    if issubclass(inner, SingletonMixin):
        return inner
    if inner not in _guarded:
        name = f"Singleton{inner.__name__}"
        _guarded[inner] = type(
            name, (SingletonMixin, inner), {"__module__": inner.__module__, "__doc__": inner.__doc__}
        )
    return _guarded[inner]
