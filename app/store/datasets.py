"""Datasets in the database."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.states import WorkState
from app.store.jobs import Origin, find_work
from app.store.records import DatasetRecord


def add_dataset(session: Session, origin: Origin, *, name: str, request: dict[str, Any]) -> DatasetRecord | None:
    """Add a dataset that is to be inspected; None if its owner has another of this name.

    A dataset that could not be inspected does not hold on to its name: nothing can refer to it, and it gives way.
    """
    ended_badly = DatasetRecord.state.in_([WorkState.FAILED, WorkState.CANCELLED])
    named_so = (DatasetRecord.owner == origin.owner, DatasetRecord.name == name)
    session.execute(delete(DatasetRecord).where(*named_so, ended_badly))
    record = DatasetRecord(**origin.columns, name=name, request=request)
    try:
        with session.begin_nested():
            session.add(record)
    except IntegrityError:
        return None
    return record


def find_dataset(session: Session, owner: str, name_or_id: str) -> DatasetRecord | None:
    """The owner's dataset with this name or id."""
    by_name = select(DatasetRecord).where(DatasetRecord.owner == owner, DatasetRecord.name == name_or_id)
    # The id first: nobody may take another dataset's address by taking it as a name.
    return _find_by_id(session, owner, name_or_id) or session.scalars(by_name).one_or_none()


def _find_by_id(session: Session, owner: str, text: str) -> DatasetRecord | None:
    try:
        return find_work(session, DatasetRecord, owner, UUID(text))
    except ValueError:
        return None
