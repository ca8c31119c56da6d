"""Connections that outlive the requests they were made for."""

import asyncio
import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from singleton_jobs.locks.kubernetes.connections import Connector

LIMIT = 2


class Gate(AbstractResolver):
    """Names are resolved once it is open."""

    def __init__(self):
        self.asked = 0
        self.open = asyncio.Event()

    async def resolve(self, host, port=0, family=0):
        self.asked += 1
        await self.open.wait()
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self):
        pass


async def answer(reader, writer):
    while await reader.readline():
        if not (await reader.readuntil(b"\r\n\r\n")).strip(b"\r\n"):
            break
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("given_up", "waiting"), [(1, 0), (LIMIT, LIMIT)], ids=["kept for the next", "within the limit"]
)
def test_connections_that_no_request_waits_for_any_more_are_kept_within_the_limit(given_up, waiting):
    async def scenario():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        gate, url = Gate(), f"http://api.test:{server.sockets[0].getsockname()[1]}/"
        connector = Connector(limit=LIMIT, resolver=gate, use_dns_cache=False)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def get():
                async with session.get(url) as response:
                    return await response.text()

            async def begun(count):
                tasks, until = [asyncio.create_task(get()) for _ in range(count)], gate.asked + count
                while gate.asked < until:
                    await asyncio.sleep(0)
                return tasks

            abandoned = await begun(given_up)
            for task in abandoned:
                task.cancel()
            await asyncio.wait(abandoned)
            others = await begun(waiting)
            gate.open.set()
            assert await asyncio.gather(*others) == ["{}"] * waiting
            while connector._unfinished:
                await asyncio.sleep(0)
            kept = sum(map(len, connector._conns.values()))
            assert kept == max(given_up, waiting)
        server.close()

    asyncio.run(scenario())
