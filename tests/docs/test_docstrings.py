"""No public name lacks a docstring, and durations name their unit."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import singleton_jobs
import singleton_jobs_apscheduler
import singleton_jobs_celery
from singleton_jobs import errors, events, health, locks
from singleton_jobs.hooks import kubernetes, log, prometheus

MODULES = (singleton_jobs, errors, events, health, locks, kubernetes, log, prometheus)
INTEGRATIONS = (singleton_jobs_apscheduler, singleton_jobs_celery)
DURATIONS = re.compile(r"timeout|drain|duration|deadline|countdown|at_most_every|\bwait\b|max_tolerable|seconds")


def public() -> Iterator[tuple[str, Any]]:
    for module in (*MODULES, *INTEGRATIONS):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing) and module not in INTEGRATIONS:  # what these override is their framework's
                for member, value in vars(thing).items():
                    if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                        yield f"{module.__name__}.{name}.{member}", value


NAMES = dict(public())


@pytest.mark.parametrize("name", NAMES)
def test_it_has_one(name: str):
    assert inspect.getdoc(NAMES[name]), name


@pytest.mark.parametrize("name", [n for n, thing in NAMES.items() if inspect.isfunction(thing)])
def test_a_duration_has_a_unit(name: str):
    taken = [parameter for parameter in inspect.signature(NAMES[name]).parameters if DURATIONS.search(parameter)]
    doc = inspect.getdoc(NAMES[name]) or ""
    assert not taken or "second" in doc or re.search(r"`\w+` (for coroutines|through)", doc), (taken, doc)
