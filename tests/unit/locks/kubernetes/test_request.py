"""Requests as they are sent."""

import pytest

from singleton_jobs.locks.kubernetes.credentials import Access
from singleton_jobs.locks.kubernetes.proxies import Proxy
from singleton_jobs.locks.kubernetes.request import Place, Requests, tunnel


def access(address, authorization=None, **more):
    return Access(address, authorization, lambda: None, **more)


def lines(request):
    head, _, body = request.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), body


def test_a_request_has_what_the_server_wants_to_know_and_no_more():
    made = Requests(access("https://api.test:6443", "Bearer x", headers=[("Impersonate-User", "jané")]))
    head = ["GET /leases?timeout=1s HTTP/1.1", "Host: api.test:6443", "User-Agent: singleton-jobs"]
    head += ["Accept: application/json", "Authorization: Bearer x", "Impersonate-User: jané"]
    assert lines(made.make("GET", "/leases?timeout=1s")) == (head, b"")
    head[0] = "PUT /x HTTP/1.1"
    with_body = [*head, "Content-Type: application/json", "Content-Length: 2"]
    assert lines(made.make("PUT", "/x", b"{}")) == (with_body, b"{}")


@pytest.mark.parametrize(
    ("address", "target", "host"),
    [
        ("https://api.test", "/x", "api.test"),
        ("https://api.test:443", "/x", "api.test"),
        ("http://api.test:8080", "/x", "api.test:8080"),
        ("https://[2001:db8::1]", "/x", "[2001:db8::1]"),
        ("https://[2001:db8::1]:6443", "/x", "[2001:db8::1]:6443"),
        ("https://rancher.test/k8s/clusters/c-1", "/k8s/clusters/c-1/x", "rancher.test"),
        ("https://api.test/a b%20c", "/a%20b%20c/x", "api.test"),
        ("https://bücher.test", "/x", "xn--bcher-kva.test"),
    ],
)
def test_where_a_request_goes(address, target, host):
    head, _ = lines(Requests(access(address)).make("GET", "/x"))
    assert head[:2] == [f"GET {target} HTTP/1.1", f"Host: {host}"]


def test_a_proxy_that_opens_no_tunnel_is_told_the_whole_address():
    proxy = Proxy("http://proxy.test:3128", {}, "the test")
    head, _ = lines(Requests(access("http://api.test/base", proxy=proxy)).make("GET", "/x"))
    assert head[:2] == ["GET http://api.test/base/x HTTP/1.1", "Host: api.test"]
    head, _ = lines(Requests(access("https://api.test/base", proxy=proxy)).make("GET", "/x"))
    assert head[0] == "GET /base/x HTTP/1.1"


def test_a_tunnel_is_asked_for_with_the_proxys_own_headers():
    head, body = lines(tunnel(Place("https://[::1]"), [("Proxy-Authorization", "Basic x")]))
    assert head[:2] == ["CONNECT [::1]:443 HTTP/1.1", "Host: [::1]:443"]
    assert (head[-1], body) == ("Proxy-Authorization: Basic x", b"")


@pytest.mark.parametrize("value", ["x\r\nEvil: y", "x\ny", "x\0"])
def test_a_header_is_one_line(value):
    with pytest.raises(ValueError, match="more than one line"):
        Requests(access("https://api.test", headers=[("Impersonate-User", value)]))
    with pytest.raises(ValueError, match="more than one line"):
        tunnel(Place("https://api.test"), [("X", value)])
