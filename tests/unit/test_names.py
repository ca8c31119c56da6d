"""Names are lower-cased, and then must be what Kubernetes accepts."""

import pytest

from singleton_jobs import ConfigError
from singleton_jobs.names import lease_name, namespace_name


@pytest.mark.parametrize("name", ["a", "nightly", "nightly-report", "a.b.c", "0", "a" * 253, "x--y"])
def test_subdomains_are_accepted_as_they_are(name):
    assert lease_name(name) == name


def test_names_are_lower_cased():
    assert lease_name("Nightly-Report") == "nightly-report"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a b",
        "a_b",
        "-a",
        "a-",
        "a.",
        ".a",
        "a..b",
        "a.-b",
        "a\n",
        "a%2f",
        "é",
        "İ",
        "ß",
        "a" * 254,
    ],
)
def test_anything_else_is_refused(name):
    with pytest.raises(ConfigError, match="DNS-1123"):
        lease_name(name)


@pytest.mark.parametrize("name", [None, 3, b"nightly", ["nightly"]])
def test_a_name_is_a_string(name):
    with pytest.raises(ConfigError, match="string"):
        lease_name(name)


def test_a_prefix_comes_before_the_name():
    assert lease_name("Report", "App-") == "app-report"


def test_a_prefix_makes_no_name_out_of_nothing():
    with pytest.raises(ConfigError):
        lease_name("", "app")


def test_a_prefix_counts_towards_the_length():
    with pytest.raises(ConfigError, match=r"254 characters"):
        lease_name("a" * 250, "app-")


def test_a_bad_prefix_is_refused():
    with pytest.raises(ConfigError):
        lease_name("report", "../")


def test_a_refusal_of_a_long_name_is_short():
    with pytest.raises(ConfigError) as caught:
        lease_name("a" * 100_000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["default", "a", "a" * 63, "0-0"])
def test_labels_are_namespaces(name):
    assert namespace_name(name) == name


@pytest.mark.parametrize("name", ["", "a" * 64, "a.b", "Default", "..", "a/b", None])
def test_other_namespaces_are_refused(name):
    with pytest.raises(ConfigError, match="namespace"):
        namespace_name(name)
