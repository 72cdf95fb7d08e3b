"""Datasets in the database."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.store.records import DatasetRecord


def add_dataset(session: Session, *, name: str, request: dict[str, Any]) -> DatasetRecord | None:
    """Add a dataset that is to be inspected; None if the name is taken."""
    record = DatasetRecord(name=name, request=request)
    try:
        with session.begin_nested():
            session.add(record)
    except IntegrityError:
        return None
    return record


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
