"""Sets this process's wall clock off by SKEW seconds, for all that is imported later; import it first of all."""

import datetime
import functools
import os
import time

OFFSET = float(os.environ.get("SKEW", "0"))
_datetime, _time, _clock_gettime = datetime.datetime, time.time, time.clock_gettime


class _Meta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, _datetime)

    def __subclasscheck__(cls, subclass):
        return issubclass(subclass, _datetime)


class Datetime(_datetime, metaclass=_Meta):
    """What other processes find in a shared store is unpickled by this name, so they have it too."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


def _shifted(read, clock=None):
    value = read() if clock is None else read(clock)
    return value + OFFSET if clock in (None, time.CLOCK_REALTIME) else value


if OFFSET:
    time.time = functools.partial(_shifted, _time)
    time.clock_gettime = functools.partial(_shifted, _clock_gettime)
    datetime.datetime = Datetime
