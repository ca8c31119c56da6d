"""Which proxy is asked for a server: the forms that NO_PROXY (as the official client of 37 reads it) and URLs may have."""

import os
import traceback
from itertools import product

import pytest
from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies

from singleton_jobs import ConfigError
from singleton_jobs.locks.kubernetes.proxies import Proxy, bypasses, find_proxy

NAME, PORT, FOUR, SIX = (
    "https://api.dev.example",
    "https://api.dev.example:6443",
    "https://10.1.2.3:6443",
    "https://[fd00::1]:6443",
)


@pytest.mark.parametrize(
    ("server", "no_proxy", "passed_by"),
    [
        (NAME, "", False),
        (NAME, " , ,", False),
        (NAME, "*", True),
        (NAME, "api.dev.example", True),
        (NAME, "API.Dev.Example", True),
        (NAME, "dev.example", True),
        (NAME, ".dev.example", True),
        (NAME, "other, dev.example ,10.0.0.0/8", True),
        (NAME, "ev.example", False),
        (NAME, "api.dev.example.org", False),
        (NAME, "api.dev.example:6443", False),
        (NAME, "10.0.0.0/8", False),
        (PORT, "api.dev.example", True),
        (PORT, "api.dev.example:6443", True),
        (PORT, "dev.example:6443", True),
        (PORT, "api.dev.example:443", False),
        (FOUR, "10.1.2.3", True),
        (FOUR, "10.1.2.3:6443", True),
        (FOUR, "10.1.2.3:443", False),
        (FOUR, "10.0.0.0/8", True),
        (FOUR, "10.1.2.3/32", True),
        (FOUR, "192.168.0.0/16", False),
        (FOUR, "10.1.2.30", False),
        (FOUR, "fd00::/8", False),
        (SIX, "fd00::1", True),
        (SIX, "FD00::1", True),
        (SIX, "[fd00::1]:6443", True),
        (SIX, "fd00::/8", True),
        (SIX, "fd00::2", False),
        (SIX, "10.0.0.0/8", False),
    ],
)
def test_what_no_proxy_names_is_what_it_names_to_the_official_client(server, no_proxy, passed_by):
    assert bypasses(server, no_proxy) is passed_by
    assert bool(should_bypass_proxies(server, no_proxy)) is passed_by


@pytest.mark.parametrize(
    ("server", "no_proxy"),
    [(NAME, "*.dev.example"), (NAME, "api.dev.example:443"), (SIX, "[fd00::1]"), ("http://10.1.2.3", "10.1.2.3:80")],
)
def test_what_names_it_to_kubectl_counts_too(server, no_proxy):
    assert bypasses(server, no_proxy)


@pytest.mark.parametrize("server", [NAME, "http://api.dev.example"])
def test_the_environments_proxy_is_the_one_that_the_official_client_takes(monkeypatch, server):
    names = ["https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"]
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for values in product((None, "", "http://{}:1"), repeat=len(names)):
        for name, value in zip(names, values, strict=True):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value.format(name.replace("_", "-")))
        configuration = Configuration()
        configuration.host = server
        found = find_proxy(server, None)
        assert (found and found.url) == (configuration.proxy or None), values
        assert find_proxy(server, "http://named").url == "http://named"


@pytest.mark.parametrize(("lower", "upper"), [("", "*"), ("*", ""), (None, "*"), ("*", None)])
def test_no_proxy_in_lower_case_comes_first(monkeypatch, lower, upper):
    for name, value in [("no_proxy", lower), ("NO_PROXY", upper)]:
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    passed_by = Configuration().no_proxy == "*"
    assert (find_proxy(NAME, "http://proxy:3128") is None) is passed_by


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("HTTPS://proxy", "https://proxy"),
        ("proxy:3128", "http://proxy:3128"),
        ("http://[fd00::2]:3128/", "http://[fd00::2]:3128"),
    ],
)
def test_a_proxy_without_a_login(url, shown):
    assert Proxy.named(url, "the environment") == (shown, {}, "the environment")


@pytest.mark.parametrize(("login", "sent"), [("me:s%40crt", "bWU6c0BjcnQ="), ("me", "bWU6"), ("me:a:b", "bWU6YTpi")])
def test_a_login_is_kept_out_of_what_is_shown(login, sent):
    proxy = Proxy.named(f"http://{login}@proxy:3128", "the environment")
    assert proxy.url == "http://proxy:3128"
    assert proxy.headers == {"Proxy-Authorization": f"Basic {sent}"}


@pytest.mark.parametrize(
    "url", ["socks5://me:secret@p:1", "socks5h://p", "ftp://p", "http://", "http://p:x", "http://p:0"]
)
def test_a_proxy_that_cannot_be_used_is_refused_with_what_can(url):
    with pytest.raises(ConfigError, match=r"from the environment, cannot be used: name one like http://") as caught:
        Proxy.named(url, "the environment")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[fd00::1:3128", "http://me:secret@pro\N{ACCOUNT OF}xy:1", "[p]x:secret@p"])
def test_a_proxy_that_is_no_url_is_refused_and_not_shown(url):
    with pytest.raises(ConfigError, match="from the environment.* name one like http://") as caught:
        Proxy.named(url, "the environment")
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["http://user:se/cret@proxy:3128", "http://u:1#secret@proxy:1", "http://u:1?secret@p:1"]
)
def test_a_login_that_is_not_encoded_is_refused_and_not_shown(url):
    with pytest.raises(ConfigError, match="percent-encode") as error:
        Proxy.named(url, "the environment")
    assert "cret" not in str(error.value)
    assert "u:1" not in str(error.value)
