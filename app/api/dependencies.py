"""What routes ask for."""

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Query, Request

from app.principals import Principal
from app.queue import JobQueue
from app.services.context import Context
from app.settings import Settings
from app.store.blobs import BlobStore
from app.store.sessions import N_CONNECTIONS, Database, Session

# Of their own: all other threads may be waiting for the connection that is given back.
_CLOSERS = CapacityLimiter(N_CONNECTIONS)


# These only look something up: as coroutines they cost no trip to another thread.
async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _queue(request: Request) -> JobQueue:
    queue: JobQueue = request.app.state.queue
    return queue


async def _blobs(request: Request) -> BlobStore:
    blobs: BlobStore = request.app.state.blobs
    return blobs


async def _principal(request: Request) -> Principal:
    # The gate has put it there, or the request would not be here.
    principal: Principal = request.state.principal
    return principal


DatabaseDep = Annotated[Database, Depends(_database)]
QueueDep = Annotated[JobQueue, Depends(_queue)]
BlobsDep = Annotated[BlobStore, Depends(_blobs)]
PrincipalDep = Annotated[Principal, Depends(_principal)]


async def _reading(request: Request) -> AsyncIterator[Context]:
    database: Database = request.app.state.database
    # Closed here and now: what only read leaves nothing to say to the database.
    with database.reading() as session:
        yield _context(request, session)


async def _writing(request: Request) -> AsyncIterator[Context]:
    database: Database = request.app.state.database
    session = database.writing()
    try:
        yield _context(request, session)
    finally:
        # Another thread is worth asking only where there is a connection to give back.
        if session.in_transaction():
            await to_thread.run_sync(session.close, limiter=_CLOSERS)


async def _polling(request: Request) -> Context:
    database: Database = request.app.state.database
    return _context(request, database.reading())


async def _submitting(request: Request) -> Context:
    database: Database = request.app.state.database
    return _context(request, database.submitting())


def _context(request: Request, session: Session) -> Context:
    state = request.app.state
    settings: Settings = state.settings
    owner: str = request.state.owner
    return Context(session, state.queue, state.blobs, settings, owner, request.state.request_id)


# Closed when the route returns, not when the client has read the reply: a slow download must not hold a connection.
ReadingDep = Annotated[Context, Depends(_reading, scope="function")]
WritingDep = Annotated[Context, Depends(_writing, scope="function")]
PollingDep = Annotated[Context, Depends(_polling)]
"""For what is asked for again and again: the route closes the session itself, which costs less than having it done."""
SubmittingDep = Annotated[Context, Depends(_submitting)]
"""The same for what asks for work: ``send_submission`` closes the session."""

LimitQuery = Annotated[int, Query(ge=1, le=200, description="How many at the most.")]
