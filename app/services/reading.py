"""Looking up work of any kind."""

from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from app.errors import NotFoundError, NotReadyError
from app.services.context import Context
from app.states import WorkState
from app.store.jobs import find_work, list_work
from app.store.records import (
    ArtifactRecord,
    DatasetRecord,
    DistanceRecord,
    JobRecord,
    SelectionRecord,
    WorkRecord,
)

AnyWork = TypeVar("AnyWork", bound=WorkRecord)
NOUN: dict[type[WorkRecord], str] = {
    DatasetRecord: "dataset",
    DistanceRecord: "distance",
    SelectionRecord: "selection",
    JobRecord: "job",
}


@dataclass(frozen=True, slots=True)
class Page(Generic[AnyWork]):
    """Some records, newest first, and where the next ones begin."""

    items: list[AnyWork]
    next: UUID | None


def read_work(context: Context, kind: type[AnyWork], work_id: UUID) -> AnyWork:
    """The record with this id.

    Raises:
        NotFoundError: If there is none.
    """
    record = find_work(context.session, kind, context.owner, work_id)
    if record is None:
        raise NotFoundError(f"There is no {NOUN[kind]} {work_id}.")
    return record


def read_page(context: Context, kind: type[AnyWork], *, before: UUID | None, limit: int) -> Page[AnyWork]:
    """One page of a list."""
    items = list_work(context.session, kind, context.owner, before=before, limit=limit + 1)
    more = len(items) > limit
    return Page(items=items[:limit], next=items[limit - 1].id if more else None)


def read_artifact(
    context: Context, kind: type[JobRecord | DistanceRecord | SelectionRecord], work_id: UUID, name: str
) -> ArtifactRecord:
    """A file that a job, a distance or a selection made.

    Raises:
        NotFoundError: If there is no such work, or it makes no such file.
        NotReadyError: If it has not made it yet.
    """
    record = read_work(context, kind, work_id)
    for artifact in record.artifacts:
        if artifact.name == name:
            return artifact
    noun = NOUN[kind]
    if record.state == WorkState.SUCCEEDED:
        raise NotFoundError(f"The {noun} has no artifact {name!r}; GET /{noun}s/{work_id} lists those it has.")
    raise NotReadyError(f"The {noun} is {record.state}: its files are there once it has succeeded.")
