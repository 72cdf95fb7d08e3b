"""Looking up work of any kind."""

from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from app.errors import NotFoundError
from app.store.jobs import get_work, list_work
from app.store.records import DatasetRecord, DistanceRecord, JobRecord, WorkRecord
from app.store.sessions import Session

AnyWork = TypeVar("AnyWork", bound=WorkRecord)
NOUN: dict[type[WorkRecord], str] = {DatasetRecord: "dataset", DistanceRecord: "distance", JobRecord: "job"}


@dataclass(frozen=True, slots=True)
class Page(Generic[AnyWork]):
    """Some records, newest first, and where the next ones begin."""

    items: list[AnyWork]
    next: UUID | None


def read_work(session: Session, kind: type[AnyWork], work_id: UUID) -> AnyWork:
    """The record with this id.

    Raises:
        NotFoundError: If there is none.
    """
    record = get_work(session, kind, work_id)
    if record is None:
        raise NotFoundError(f"There is no {NOUN[kind]} {work_id}.")
    return record


def read_page(session: Session, kind: type[AnyWork], *, before: UUID | None, limit: int) -> Page[AnyWork]:
    """One page of a list."""
    items = list_work(session, kind, before=before, limit=limit + 1)
    more = len(items) > limit
    return Page(items=items[:limit], next=items[limit - 1].id if more else None)
