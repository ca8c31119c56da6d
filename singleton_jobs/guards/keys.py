"""The key of a call: an argument, or what a function makes of all of them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any
from weakref import WeakValueDictionary

from ..errors import ConfigError
from ..keys import key_text
from ..leading.keyed import KeyedLeases, KeyedPart
from .guards import ExclusiveGuard

__all__ = ["KeyedGuards", "key_of"]

KeyOf = Callable[[Callable[..., Any], Sequence[Any], Mapping[str, Any]], object]

_Parameter = inspect.Parameter
_BY_PLACE = (_Parameter.POSITIONAL_ONLY, _Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (_Parameter.POSITIONAL_OR_KEYWORD, _Parameter.KEYWORD_ONLY)


class KeyedGuards:
    """A guard for each call, by its key; that of the calls with one key share a part, as long as there are any."""

    def __init__(self, leases: KeyedLeases, key: KeyOf, make: Callable[[KeyedPart], ExclusiveGuard]) -> None:
        self._leases = leases
        self._key = key
        self._make = make
        self._parts: WeakValueDictionary[str, KeyedPart] = WeakValueDictionary()  # those that a call goes on with

    def of(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> ExclusiveGuard:
        """The guard for that call. Raises ConfigError for what can be no key."""
        text = key_text(self._leases.name, self._key(function, args, kwargs))
        part = self._parts.get(text)
        if part is None:  # two threads may come here at once: then the store says which is first
            part = self._parts[text] = KeyedPart(self._leases, text)
        return self._make(part)


def key_of(function: Callable[..., Any], key: object) -> KeyOf:
    """How the key of a call of ``function`` is found: ``key`` names a parameter, or is called as the function is."""
    inner = getattr(function, "__func__", function)
    if callable(key):
        make: Callable[..., object] = key
        return lambda call, args, kwargs: make(*_whole(call, args), **kwargs)
    if not isinstance(key, str):
        raise ConfigError(f"key must be the name of a parameter or a function of the arguments, not {key!r:.80}")
    parameters = list(inspect.signature(inner).parameters.values())
    found = next((each for each in parameters if each.name == key and each.kind in _BY_PLACE + _BY_NAME), None)
    if found is None:
        names = ", ".join(each.name for each in parameters) or "none"
        raise ConfigError(f"key={key!r:.80} is no parameter of {inner!r}: it has {names}")
    place = parameters.index(found) if found.kind in _BY_PLACE else None

    def argument(call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
        if found.kind in _BY_NAME and key in kwargs:
            return kwargs[key]
        given = _whole(call, args)
        if place is not None and place < len(given):
            return given[place]
        if found.default is _Parameter.empty:
            inspect.signature(call).bind(*args, **kwargs)  # says what is missing
        return found.default

    return argument


def _whole(call: Callable[..., Any], args: Sequence[Any]) -> Sequence[Any]:
    """All arguments of a call, the object of a method included."""
    return (call.__self__, *args) if isinstance(call, MethodType) else args
