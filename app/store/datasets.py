"""Datasets in the database."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, load_only

from app.states import WorkState
from app.store.jobs import Origin
from app.store.records import DatasetRecord, EventRecord

# Statements are put together once: that costs as much as to carry them out.
_OWNED = select(DatasetRecord).where(DatasetRecord.owner == bindparam("owned_by"))
_BY_ID = _OWNED.where(DatasetRecord.id.in_(bindparam("wanted", expanding=True)))
_BY_NAME = _OWNED.where(DatasetRecord.name.in_(bindparam("wanted", expanding=True)))
_NEEDED = load_only(
    *(DatasetRecord.id, DatasetRecord.name, DatasetRecord.state, DatasetRecord.error),
    *(DatasetRecord.digest, DatasetRecord.request, DatasetRecord.result),
)
_NEEDED_BY_ID, _NEEDED_BY_NAME = _BY_ID.options(_NEEDED), _BY_NAME.options(_NEEDED)
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
    record = DatasetRecord(**origin.columns, **described, name=name, request=request, artifacts=[])
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
    return _find(session, owner, {name_or_id}, _BY_ID, _BY_NAME).get(name_or_id)


def find_datasets(session: Session, owner: str, names_or_ids: Iterable[str]) -> dict[str, DatasetRecord]:
    """The owner's datasets with these names or ids, by what they were asked for; without those that are not there.

    Of each there is what work on it needs to know; the rest is loaded when it is asked for.
    """
    return _find(session, owner, set(names_or_ids), _NEEDED_BY_ID, _NEEDED_BY_NAME)


def _find(
    session: Session,
    owner: str,
    wanted: set[str],
    by_id: Select[DatasetRecord],
    by_name: Select[DatasetRecord],
) -> dict[str, DatasetRecord]:
    found: dict[str, DatasetRecord] = {}
    # Ids first: nobody may take another dataset's address by taking it as a name.
    if ids := {text: work_id for text in wanted if (work_id := _id_from(text))}:
        records = session.scalars(by_id, {"owned_by": owner, "wanted": list(ids.values())})
        known = {record.id: record for record in records}
        found |= {text: known[work_id] for text, work_id in ids.items() if work_id in known}
    if names := wanted - found.keys():
        records = session.scalars(by_name, {"owned_by": owner, "wanted": list(names)})
        found |= {record.name: record for record in records}
    return found


def _named(owner: str, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return DatasetRecord.owner == owner, DatasetRecord.name == name


def _id_from(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
