"""Connections that outlive the requests they were made for, and those that end before."""

import asyncio
import socket

import pytest

from singleton_jobs.locks.kubernetes import connections as module
from singleton_jobs.locks.kubernetes.connections import Connections, Unreachable
from singleton_jobs.locks.kubernetes.credentials import Access
from singleton_jobs.locks.kubernetes.request import Requests

LIMIT = 2


class Gate:
    """A resolver that answers once it is open."""

    def __init__(self):
        self.asked = 0
        self.open = asyncio.Event()
        self.error = None

    async def resolve(self, host, port):
        self.asked += 1
        await self.open.wait()
        if self.error:
            raise self.error
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]


class Server:
    """Answers ``{}``, and counts and keeps its connections."""

    def __init__(self):
        self.writers = []

    async def serve(self, reader, writer):
        self.writers.append(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def with_connections(scenario):
    """Run ``scenario(connections, gate, server, get)``."""

    async def main():
        server, gate = Server(), Gate()
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            access = Access(f"http://api.test:{listening.sockets[0].getsockname()[1]}", None, lambda: None)
            connections = Connections(access, gate, LIMIT)

            async def get():
                connection = await connections.take()
                try:
                    return b"".join((await connection.ask(Requests(access).make("GET", "/"))).body)
                finally:
                    connections.give_back(connection)

            try:
                await scenario(connections, gate, server, get)
            finally:
                await connections.aclose()
            assert not connections._open

    asyncio.run(main())


async def settled(condition):
    while not condition():
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("given_up", "waiting"), [(1, 0), (LIMIT, LIMIT)], ids=["kept for the next", "within the limit"]
)
def test_connections_that_no_request_waits_for_any_more_are_kept_within_the_limit(given_up, waiting):
    async def scenario(connections, gate, server, get):
        abandoned = [asyncio.create_task(get()) for _ in range(given_up)]
        await settled(lambda: gate.asked == given_up)
        for task in abandoned:
            task.cancel()
        await asyncio.wait(abandoned)
        others = [asyncio.create_task(get()) for _ in range(waiting)]
        gate.open.set()
        assert await asyncio.gather(*others) == [b"{}"] * waiting
        await settled(lambda: not connections._making)
        assert len(connections._idle) == len(server.writers) == given_up

    with_connections(scenario)


def test_more_requests_than_connections_wait_for_their_turn():
    async def scenario(connections, gate, server, get):
        gate.open.set()
        assert await asyncio.gather(*(get() for _ in range(5 * LIMIT))) == [b"{}"] * 5 * LIMIT
        assert len(server.writers) == LIMIT

    with_connections(scenario)


def test_each_who_waits_is_told_that_there_is_no_connection():
    async def scenario(connections, gate, server, get):
        asked = [asyncio.create_task(get()) for _ in range(2 * LIMIT)]
        await settled(lambda: gate.asked == LIMIT)
        gate.error = OSError("no such name")
        gate.open.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [(type(error), str(error)) for error in found] == [(Unreachable, "no such name")] * 2 * LIMIT

    with_connections(scenario)


def test_who_waits_for_a_connection_that_ends_gets_another():
    async def scenario(connections, gate, server, get):
        gate.open.set()
        taken = [await connections.take() for _ in range(LIMIT)]
        waiting = asyncio.create_task(get())
        await settled(lambda: connections._waiting)
        for connection in taken:
            connection.close()
            connections.give_back(connection)
        assert await waiting == b"{}"

    with_connections(scenario)


def test_a_connection_that_the_server_has_closed_is_not_used_again():
    async def scenario(connections, gate, server, get):
        gate.open.set()
        await get()
        server.writers[0].close()
        await settled(lambda: not connections._idle)
        assert await get() == b"{}"
        assert len(server.writers) == 2

    with_connections(scenario)


def test_a_connection_is_not_used_again_when_it_was_idle_for_long(monkeypatch):
    async def scenario(connections, gate, server, get):
        gate.open.set()
        await get()
        await get()
        assert len(server.writers) == 1
        monkeypatch.setattr(module, "KEEPALIVE", 0.0)
        await get()
        assert len(server.writers) == 2

    with_connections(scenario)


def test_a_request_that_is_given_up_takes_its_connection_with_it():
    """Its answer would be taken for that of the next."""

    async def scenario(connections, gate, server, get):
        gate.open.set()
        connection = await connections.take()
        asking = asyncio.create_task(connection.ask(b"GET / HTTP/1.1\r\n"))
        await settled(lambda: connection._receive)
        asking.cancel()
        await asyncio.wait([asking])
        connections.give_back(connection)
        assert await get() == b"{}"
        assert len(server.writers) == 2

    with_connections(scenario)


def test_what_nobody_has_asked_for_ends_a_connection():
    async def scenario(connections, gate, server, get):
        gate.open.set()
        await get()
        server.writers[0].write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await settled(lambda: not connections._idle)

    with_connections(scenario)


def test_whoever_waits_is_told_when_all_are_closed():
    async def scenario(connections, gate, server, get):
        waiting = [asyncio.create_task(get()) for _ in range(LIMIT + 1)]
        await settled(lambda: gate.asked == LIMIT)
        await connections.aclose()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in found] == [Unreachable] * (LIMIT + 1)

    with_connections(scenario)


@pytest.mark.parametrize("busy", [0, LIMIT], ids=["while one is being made", "while all are in use"])
def test_whoever_waits_when_others_take_their_place_is_served(busy):
    async def scenario(connections, gate, server, get):
        if busy:
            gate.open.set()
        taken = [await connections.take() for _ in range(busy)]
        waiting = [asyncio.create_task(get()) for _ in range(LIMIT + 1)]
        await settled(lambda: len(connections._waiting) == LIMIT + 1)
        connections.retire()
        gate.open.set()
        for connection in taken:
            connections.give_back(connection)
        assert await asyncio.gather(*waiting) == [b"{}"] * (LIMIT + 1)
        await settled(lambda: not connections._open)

    with_connections(scenario)
