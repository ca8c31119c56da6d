"""A background task of a FastAPI application.

The problem: every worker of every replica starts the task, so a feed is polled many times over.

Here every worker serves requests, and the one that holds the lease `price-feed` polls. `Leadership.run` starts the
coroutine when this worker leads, cancels it when the lease is lost, and starts it again when it is regained. An
exception in `poll` ends the candidacy: catch inside what polling should survive.

Run this twice, with PORT=8001 and PORT=8002: http://127.0.0.1:8001 says which of them leads. Stop that one: the
lifespan cancels the task, which gives the lease back, and the other polls within three seconds.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from singleton_jobs import Term, leadership

feed = leadership("price-feed")


async def poll(term: Term) -> None:
    """Runs on the leader only."""
    number = 0
    while True:
        number += 1
        term.check()  # before every effect: raises if the lease is not held at this very instant
        print(f"poll {number} by {term.identity} (fencing token {term.fencing_token})", flush=True)
        await asyncio.sleep(1)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Compete for the lease as long as the application serves."""
    task = asyncio.create_task(feed.run(poll))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def status() -> dict[str, object]:
    """Who polls; reading it asks nobody and starts nothing."""
    return {"leads": feed.is_leader, "holder": feed.holder}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), log_level="warning")
