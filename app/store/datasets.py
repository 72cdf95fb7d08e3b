"""Datasets in the database."""

from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.states import WorkState
from app.store.clock import now_plus
from app.store.records import DatasetRecord


def add_dataset(session: Session, *, name: str, request: dict[str, Any]) -> DatasetRecord | None:
    """Add a dataset that is to be inspected; None if the name is taken.

    A dataset that could not be inspected does not hold on to its name: it is described anew and inspected again.
    """
    record = _revive_failed(session, name, request)
    if record is not None:
        return record
    record = DatasetRecord(name=name, request=request)
    try:
        with session.begin_nested():
            session.add(record)
    except IntegrityError:
        return None
    return record


def _revive_failed(session: Session, name: str, request: dict[str, Any]) -> DatasetRecord | None:
    ended_badly = DatasetRecord.state.in_([WorkState.FAILED, WorkState.CANCELLED])
    return session.scalars(
        update(DatasetRecord)
        .where(DatasetRecord.name == name, ended_badly)
        .values(
            state=WorkState.QUEUED,
            request=request,
            error=None,
            timings=None,
            cancel_requested=False,
            attempt=0,
            finished_at=None,
            enqueued_at=now_plus(),
        )
        .returning(DatasetRecord)
    ).one_or_none()


def find_dataset(session: Session, name_or_id: str) -> DatasetRecord | None:
    """The dataset with this name or id."""
    by_name = session.scalars(select(DatasetRecord).where(DatasetRecord.name == name_or_id)).one_or_none()
    return by_name or get_dataset(session, name_or_id)


def get_dataset(session: Session, dataset_id: UUID | str) -> DatasetRecord | None:
    """The dataset with this id; text that is no id matches nothing."""
    try:
        return session.get(DatasetRecord, UUID(str(dataset_id)))
    except ValueError:
        return None
