"""Stores and executors by their alias, and versions of APScheduler that are not supported."""

import textwrap

from datetime import timedelta

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.base import BaseScheduler
from singleton_jobs import ConfigError
from singleton_jobs_apscheduler import SingletonExecutor, SingletonJobStore
from unit.apscheduler.site import Guarded, leads
from unit.apscheduler.work import work
from unit.programs import run


class Entry:
    """An entry point, as an installed wheel has it."""

    def __init__(self, loaded):
        self.loaded = loaded

    def load(self):
        return self.loaded


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setitem(BaseScheduler._jobstore_plugins, "singleton", Entry(SingletonJobStore))
    monkeypatch.setitem(BaseScheduler._executor_plugins, "singleton", Entry(SingletonExecutor))


def test_a_store_and_its_inner_one_are_named_by_alias(replica, tmp_path):
    scheduler = Guarded(timezone="UTC")
    store = scheduler._create_plugin_instance(
        "jobstore",
        "singleton",
        {"inner": "sqlalchemy", "lease": "nightly", "replica": replica, "url": f"sqlite:///{tmp_path}/jobs.sqlite3"},
    )
    assert type(store) is SingletonJobStore
    assert type(store._inner.store) is SQLAlchemyJobStore
    assert store.leadership is replica.leadership("nightly")


def test_an_executor_and_its_inner_one_are_named_by_alias():
    made = Guarded()._create_plugin_instance("executor", "singleton", {"inner": "threadpool", "max_workers": 3})
    assert type(made) is SingletonExecutor
    assert type(made._inner) is ThreadPoolExecutor
    assert made._inner._pool._max_workers == 3


def test_a_scheduler_is_guarded_by_configuration_alone(replica, shut, ran):
    scheduler = Guarded(
        {
            "apscheduler.jobstores.default": {"type": "singleton", "lease": "nightly", "replica": replica},
            "apscheduler.executors.default": {"type": "singleton", "inner": "debug"},
            "apscheduler.timezone": "UTC",
        }
    )
    shut.append(scheduler)
    scheduler.add_job(work, id="job")
    scheduler.start()
    leads(replica.leadership("nightly"))
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == "aps:default:job"


def test_configured_values_may_be_text(replica):
    """As they come from an ini file."""
    assert SingletonJobStore("memory", "nightly", replica=replica, poll="0.5")._poll == timedelta(seconds=0.5)
    with pytest.raises(ConfigError, match="poll"):
        SingletonJobStore("memory", "nightly", replica=replica, poll="soon")


def test_an_executor_with_a_lease_guards_a_scheduler_by_configuration(replica, shut, ran):
    scheduler = Guarded(
        executors={"default": {"type": "singleton", "inner": "debug", "lease": "nightly", "replica": replica}},
        timezone="UTC",
    )
    shut.append(scheduler)
    scheduler.add_job(work, id="job")
    scheduler.start()
    leads(replica.leadership("nightly"))
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == "aps:default:job"


def test_an_executor_without_an_inner_one_uses_the_schedulers_default(replica, shut):
    executor = SingletonExecutor(lease="nightly", replica=replica)
    scheduler = Guarded(executors={"default": executor}, timezone="UTC")
    shut.append(scheduler)
    scheduler.start()
    assert type(executor._inner) is DebugExecutor


@pytest.mark.parametrize("kind", [SingletonJobStore, SingletonExecutor], ids=["store", "executor"])
def test_an_unknown_alias_is_refused(replica, kind):
    with pytest.raises(ConfigError, match="'no-such'"):
        kind("no-such", "nightly", replica=replica)


@pytest.mark.parametrize("inner", [None, object(), SingletonExecutor("debug")], ids=["none", "object", "executor"])
def test_what_is_no_job_store_is_refused(replica, inner):
    with pytest.raises(ConfigError, match="job store"):
        SingletonJobStore(inner, "nightly", replica=replica)


def test_a_store_inside_a_store_is_refused(replica):
    inner = SingletonJobStore("memory", "nightly", replica=replica)
    with pytest.raises(ConfigError, match="another job store"):
        SingletonJobStore(inner, "nightly", replica=replica)


@pytest.mark.parametrize(
    "inner", [object(), MemoryJobStore(), SingletonExecutor("debug")], ids=["object", "store", "itself"]
)
def test_what_is_no_executor_is_refused(inner):
    with pytest.raises(ConfigError, match="executor"):
        SingletonExecutor(inner)


def test_a_store_needs_a_lease(replica):
    with pytest.raises(ConfigError, match='lease="jobs"'):
        SingletonJobStore("memory", replica=replica)


def test_a_store_says_what_it_goes_round(replica):
    assert "MemoryJobStore" in repr(SingletonJobStore("memory", "nightly", replica=replica))
    assert "nightly" in repr(SingletonJobStore("memory", "nightly", replica=replica))


@pytest.mark.parametrize("plugin", ["SingletonJobStore", "SingletonExecutor"])
def test_what_the_entry_points_name_is_there(plugin):
    import singleton_jobs_apscheduler

    assert plugin in singleton_jobs_apscheduler.__all__
    assert getattr(singleton_jobs_apscheduler, plugin)


# other versions


def fails_to_import(tmp_path, files, metadata=None):
    """What importing the integration says beside such an apscheduler."""
    for name, source in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    program = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        {"" if files else "sys.modules['apscheduler'] = None"}
        import importlib.metadata as metadata
        real = metadata.version
        def version(name):
            if name == "apscheduler":
                if {metadata!r} is None:
                    raise metadata.PackageNotFoundError(name)
                return {metadata!r}
            return real(name)
        metadata.version = version
        try:
            import singleton_jobs_apscheduler
        except ImportError as error:
            print(error)
        """
    import os

    import singleton_jobs
    import singleton_jobs_apscheduler

    homes = {
        os.path.dirname(os.path.dirname(module.__file__)) for module in (singleton_jobs, singleton_jobs_apscheduler)
    }
    return run(program, env={"PYTHONPATH": os.pathsep.join(sorted(homes))})


def test_a_missing_apscheduler_is_named_with_what_to_install(tmp_path):
    said = fails_to_import(tmp_path, {})
    assert "APScheduler is not installed" in said
    assert "pip install 'singleton-jobs[apscheduler]'" in said


def test_apscheduler_4_is_not_supported_yet(tmp_path):
    said = fails_to_import(tmp_path, {"apscheduler/__init__.py": "class AsyncScheduler: ..."}, "4.0.0a6")
    assert "APScheduler 4.0.0a6 is not supported yet" in said
    assert "<4" in said
