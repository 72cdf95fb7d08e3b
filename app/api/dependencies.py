"""What routes ask for."""

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from app.queue import JobQueue
from app.settings import Settings
from app.store.blobs import BlobStore
from app.store.sessions import Database, Session


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _queue(request: Request) -> JobQueue:
    queue: JobQueue = request.app.state.queue
    return queue


def _blobs(request: Request) -> BlobStore:
    blobs: BlobStore = request.app.state.blobs
    return blobs


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


DatabaseDep = Annotated[Database, Depends(_database)]
QueueDep = Annotated[JobQueue, Depends(_queue)]
BlobsDep = Annotated[BlobStore, Depends(_blobs)]
SettingsDep = Annotated[Settings, Depends(_settings)]


def _reading(database: DatabaseDep) -> Iterator[Session]:
    with database.reading() as session:
        yield session


def _writing(database: DatabaseDep) -> Iterator[Session]:
    with database.writing() as session:
        yield session


# Closed when the route returns, not when the client has read the reply: a slow download must not hold a connection.
ReadingDep = Annotated[Session, Depends(_reading, scope="function")]
WritingDep = Annotated[Session, Depends(_writing, scope="function")]

BeforeQuery = Annotated[UUID | None, Query(description="Only what is older than this id: `next` of the page before.")]
LimitQuery = Annotated[int, Query(ge=1, le=200, description="How many at the most.")]
