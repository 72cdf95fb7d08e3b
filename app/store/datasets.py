"""Datasets in the database."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.states import WorkState
from app.store.records import DatasetRecord


def add_dataset(session: Session, *, name: str, request: dict[str, Any]) -> DatasetRecord | None:
    """Add a dataset that is to be inspected; None if the name is taken.

    A dataset that could not be inspected does not hold on to its name: nothing can refer to it, and it gives way.
    """
    ended_badly = DatasetRecord.state.in_([WorkState.FAILED, WorkState.CANCELLED])
    session.execute(delete(DatasetRecord).where(DatasetRecord.name == name, ended_badly))
    record = DatasetRecord(name=name, request=request)
    try:
        with session.begin_nested():
            session.add(record)
    except IntegrityError:
        return None
    return record


def find_dataset(session: Session, name_or_id: str) -> DatasetRecord | None:
    """The dataset with this name or id."""
    by_name = select(DatasetRecord).where(DatasetRecord.name == name_or_id)
    # The id first: nobody may take another dataset's address by taking it as a name.
    return _find_by_id(session, name_or_id) or session.scalars(by_name).one_or_none()


def _find_by_id(session: Session, text: str) -> DatasetRecord | None:
    try:
        return session.get(DatasetRecord, UUID(text))
    except ValueError:
        return None
