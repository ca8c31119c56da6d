"""What a replica was told, by arguments and environment, and what it does when it was told nothing."""

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from singleton_jobs import Config, ConfigError
from singleton_jobs.locks import MemorySpace, SQLiteStore, open_store
from singleton_jobs.leading.settings import Settings


@pytest.fixture(autouse=True)
def a_developers_machine(monkeypatch, tmp_path):
    for name in ("STORE", "NAMESPACE", "MODE", "PREFIX", "LEASE_DURATION"):
        monkeypatch.delenv(f"SINGLETON_JOBS_{name}", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("singleton_jobs.leading.settings.CONTAINER_MARKS", ())
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: tmp_path / "state" / name)
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project)


def test_with_nothing_set_leases_are_kept_in_a_file_of_the_user_and_that_is_said(tmp_path):
    store, remark = Settings().resolve_store()
    assert isinstance(store, SQLiteStore)
    assert store.path.is_relative_to(tmp_path / "state")
    assert str(store.path) in remark


def test_the_file_belongs_to_the_project_wherever_in_it_one_stands(monkeypatch):
    at_the_top, _ = Settings().resolve_store()
    monkeypatch.chdir("src")
    assert Settings().resolve_store()[0].key == at_the_top.key


def test_two_projects_have_two_files(monkeypatch, tmp_path):
    first, _ = Settings().resolve_store()
    (tmp_path / "elsewhere" / "project").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere" / "project")
    assert Settings().resolve_store()[0].key != first.key


def test_a_container_without_a_store_is_refused_with_what_to_set(monkeypatch, tmp_path):
    (tmp_path / ".dockerenv").touch()
    monkeypatch.setattr("singleton_jobs.leading.settings.CONTAINER_MARKS", (tmp_path / ".dockerenv",))
    with pytest.raises(ConfigError, match="SINGLETON_JOBS_STORE"):
        Settings().resolve_store()


def test_a_pod_without_a_token_is_refused_with_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr("singleton_jobs.locks.kubernetes.credentials.SERVICE_ACCOUNT", tmp_path)
    with pytest.raises(ConfigError, match="automountServiceAccountToken"):
        Settings().resolve_store()


def test_a_cluster_means_kubernetes(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("jobs\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    monkeypatch.setattr("singleton_jobs.locks.kubernetes.credentials.SERVICE_ACCOUNT", tmp_path)
    store, remark = Settings().resolve_store()
    assert (store.key, remark) == ("https://[fd00::1]:6443/namespaces/jobs", None)


@pytest.mark.parametrize(
    ("argument", "variable", "namespace"), [("arg", "env", "arg"), (None, "env", "env"), (None, "", "jobs")]
)
def test_the_namespace_comes_from_argument_environment_and_service_account(
    monkeypatch, tmp_path, argument, variable, namespace
):
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("jobs")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("SINGLETON_JOBS_NAMESPACE", variable)
    monkeypatch.setattr("singleton_jobs.locks.kubernetes.credentials.SERVICE_ACCOUNT", tmp_path)
    assert Settings(namespace=argument).resolve_store()[0].namespace == namespace


def test_a_kubeconfig_is_never_used_unasked(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert isinstance(Settings().resolve_store()[0], SQLiteStore)


def test_the_store_may_be_set_in_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SINGLETON_JOBS_STORE", f"sqlite://{tmp_path}/x.db")
    store, remark = Settings().resolve_store()
    assert (store.path, remark) == (tmp_path / "x.db", None)


def test_an_argument_beats_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SINGLETON_JOBS_STORE", f"sqlite://{tmp_path}/x.db")
    assert isinstance(Settings(store="memory:").resolve_store()[0], MemorySpace)


def test_a_store_may_be_an_object():
    space = MemorySpace()
    assert Settings(store=space).resolve_store() == (space, None)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory:x",
        "memory://",
        "sqlite:",
        "sqlite:///",
        "sqlite://host/path",
        "sqlite:///x?y=1",
        "redis://x",
        "kubernetes://x",
        "kubernetes:/x",
        "kubernetes:?x=1",
        "kubernetes:?context=",
        "kubernetes:?context=a&context=b",
    ],
)
def test_other_urls_are_refused_with_those_there_are(url):
    with pytest.raises(ConfigError, match="sqlite:///path/to/file"):
        open_store(url)


def test_a_path_may_be_quoted():
    assert open_store("sqlite:///tmp/my%20leases.db").path == Path("/tmp/my leases.db")


@pytest.mark.parametrize(
    "bad",
    [{"namespace": "../x"}, {"prefix": "../"}, {"mode": "sometimes"}, {"config": 15}, {"store": 7}, {"hooks": ["x"]}],
    ids=str,
)
def test_bad_arguments_are_refused_at_once(bad):
    with pytest.raises(ConfigError):
        Settings(**bad)


@pytest.mark.parametrize("bad", [3, None, print], ids=repr)
def test_hooks_that_are_no_list_are_refused_with_what_to_pass(bad):
    with pytest.raises(ConfigError, match=r"hooks=\[hook\]"):
        Settings(hooks=bad)


def test_a_hook_that_could_be_gone_through_is_no_list():
    with pytest.raises(ConfigError, match=r"hooks=\[hook\]"):
        Settings(hooks=MagicMock())


def test_hooks_may_come_one_by_one():
    assert Settings(hooks=(hook for hook in [print])).hooks == (print,)


def test_the_mode_may_be_set_in_the_environment(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_MODE", "never")
    assert Settings().resolve_mode() == "never"


def test_an_argument_beats_the_environments_mode(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_MODE", "never")
    assert Settings(mode="always").resolve_mode() == "always"


def test_a_bad_mode_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_MODE", "maybe")
    with pytest.raises(ConfigError, match="SINGLETON_JOBS_MODE"):
        Settings().resolve_mode()


def test_the_prefix_may_be_set_in_the_environment(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_PREFIX", "app-")
    assert Settings().resolve_prefix() == "app-"


def test_the_lease_duration_may_be_set_in_the_environment(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_LEASE_DURATION", "30")
    assert Settings().resolve_config() == Config(30)


def test_a_config_beats_the_environments_duration(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_LEASE_DURATION", "30")
    assert Settings(config=Config(60)).resolve_config() == Config(60)


@pytest.mark.parametrize("duration", ["soon", "2", "nan", "-1"])
def test_a_bad_duration_in_the_environment_is_refused_by_name(monkeypatch, duration):
    monkeypatch.setenv("SINGLETON_JOBS_LEASE_DURATION", duration)
    with pytest.raises(ConfigError, match="SINGLETON_JOBS_LEASE_DURATION"):
        Settings().resolve_config()
