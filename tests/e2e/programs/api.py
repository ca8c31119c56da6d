"""A FastAPI application whose lifespan runs a coroutine while this replica leads.

Options: lease, config, every (seconds between effects).
"""

import asyncio
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from program import configure, effect, log, options

from singleton_jobs import leadership, running

replica = configure()


async def feed(term):
    log("feed begins", token=term.fencing_token, identity=term.identity)
    try:
        while True:
            effect(term)
            await asyncio.sleep(options.every)
    except BaseException as error:
        log("feed stops", token=term.fencing_token, by=type(error).__name__)
        raise


@asynccontextmanager
async def lifespan(app):
    async with running():
        feeding = asyncio.create_task(leadership(options.lease).run(feed))
        log("serving")
        yield
    log("feed ended", outcome=await feeding)


uvicorn.run(FastAPI(lifespan=lifespan), port=0, log_level="info")
