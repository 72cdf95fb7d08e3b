"""Datasets in the database."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.states import WorkState
from app.store.jobs import Origin, find_work
from app.store.records import DatasetRecord, EventRecord

# Put together once: that costs as much as to carry it out.
_BY_NAME = select(DatasetRecord).where(
    DatasetRecord.owner == bindparam("owned_by"), DatasetRecord.name == bindparam("named")
)
_ENDED_BADLY = DatasetRecord.state.in_([WorkState.FAILED, WorkState.CANCELLED])


def add_dataset(
    session: Session,
    origin: Origin,
    *,
    name: str,
    request: dict[str, Any],
    described: Mapping[str, Any] = MappingProxyType({}),
) -> DatasetRecord | None:
    """Add a dataset that is to be inspected; None if its owner has another of this name.

    A dataset that could not be inspected does not hold on to its name: nothing can refer to it, and it gives way.
    ``described`` are the columns that its owner filled in to find it again.
    """
    given_up = delete(DatasetRecord).where(*_named(origin.owner, name), _ENDED_BADLY).returning(DatasetRecord.id)
    gone = session.scalars(given_up).all()
    session.execute(delete(EventRecord).where(EventRecord.work_id.in_(gone)))
    record = DatasetRecord(**origin.columns, **described, name=name, request=request)
    try:
        with session.begin_nested():
            session.add(record)
    except IntegrityError:
        return None
    return record


def is_name_taken(session: Session, owner: str, name: str) -> bool:
    """Whether a dataset of this owner holds on to the name."""
    holder = select(DatasetRecord.id).where(*_named(owner, name), ~_ENDED_BADLY)
    return session.scalars(holder).one_or_none() is not None


def find_dataset(session: Session, owner: str, name_or_id: str) -> DatasetRecord | None:
    """The owner's dataset with this name or id."""
    # The id first: nobody may take another dataset's address by taking it as a name.
    found = _find_by_id(session, owner, name_or_id)
    return found or session.scalars(_BY_NAME, {"owned_by": owner, "named": name_or_id}).one_or_none()


def _named(owner: str, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return DatasetRecord.owner == owner, DatasetRecord.name == name


def _find_by_id(session: Session, owner: str, text: str) -> DatasetRecord | None:
    try:
        return find_work(session, DatasetRecord, owner, UUID(text))
    except ValueError:
        return None
