"""Responses of HTTP/1.1: what is one, wherever it is cut, and what is none."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleton_jobs.locks.kubernetes.response import Response

PLAIN = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n2;why=not\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def fed(*pieces, **how):
    response = Response(**how)
    for piece in pieces:
        assert not response.complete
        response.feed(piece)
    return response


def cut(data, places):
    edges = [0, *sorted(place % len(data) for place in places), len(data)]
    return [data[begin:end] for begin, end in zip(edges, edges[1:], strict=False) if end > begin]


@given(st.sampled_from([PLAIN, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN]), st.lists(st.integers(0, 200)))
def test_a_response_is_the_same_wherever_it_is_cut(data, places):
    response = fed(*cut(data, places))
    assert response.complete
    assert not response.is_last
    assert (response.status, b"".join(response.body)) == (200, b"hello")


@given(
    st.lists(st.binary(max_size=50), max_size=5),
    st.booleans(),
    st.dictionaries(st.from_regex(r"X-[A-Za-z-]{1,9}", fullmatch=True), st.from_regex(r"[!-~]{0,9}", fullmatch=True)),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_it_says_what_another_reader_of_http_finds_in_it(chunks, chunked, headers, places):
    lines = [f"{name}: {value} " for name, value in headers.items()]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"
    else:
        body = b"".join(chunks)
        lines.append(f"Content-Length: {len(body)}")
    data = "\r\n".join(["HTTP/1.1 409 Conflict", *lines, "", ""]).encode() + body
    response = fed(*cut(data, places))
    other = h11.Connection(h11.CLIENT)
    other.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    other.receive_data(data)
    head, content = other.next_event(), b""
    while isinstance(event := other.next_event(), h11.Data):
        content += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert response.complete
    assert (response.status, b"".join(response.body)) == (head.status_code, content)
    found = {}
    for name, value in head.headers:
        found.setdefault(name.decode(), value.decode())
    assert response.headers == found


@pytest.mark.parametrize(
    ("head", "last"),
    [
        ("HTTP/1.1 200 OK", False),
        ("HTTP/1.1 200", False),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive, Close", True),
        ("HTTP/1.0 200 OK", True),
        ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive", False),
    ],
)
def test_whether_another_request_may_follow(head, last):
    response = fed(f"{head}\r\ncontent-length:2\r\n\r\n{{}}".encode())
    assert (response.complete, response.is_last) == (True, last)


def test_what_comes_after_a_response_is_for_nobody():
    for data in (PLAIN, CHUNKED, EMPTY):
        assert fed(data + b"H").is_last


@pytest.mark.parametrize("status", [204, 304])
def test_some_have_no_body_whatever_they_say(status):
    assert fed(f"HTTP/1.1 {status} Fine\r\nContent-Length: 5\r\n\r\n".encode()).complete
    assert fed(b"HTTP/1.1 200 Connected\r\nContent-Length: 5\r\n\r\n", bodiless=True).complete


def test_a_body_without_a_length_ends_with_its_connection():
    response = fed(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    assert (response.complete, response.is_last) == (False, True)
    response.end()
    assert response.complete
    assert b"".join(response.body) == b"hello"


@pytest.mark.parametrize("data", [b"", PLAIN[:9], PLAIN[:-1], CHUNKED[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_what_ends_too_early_is_no_response(data):
    response = fed(data)
    with pytest.raises(ValueError, match="before the whole answer"):
        response.end()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 999 What\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + 1025 * b"0",
        b"HTTP/1.1 200 OK\r\nX: " + (64 << 10) * b"x",
    ],
    ids=range(18),
)
def test_what_is_no_response_is_refused(data):
    with pytest.raises(ValueError, match=r"\w"):
        Response().feed(data)


def test_two_equal_lengths_are_one():
    assert fed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}").complete
