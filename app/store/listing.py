"""What replies show of records, one by one and page by page: in one query, and without the objects of the ORM.

A page begins behind the last record of the page before (keyset), so that the thousandth costs what the first does.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    exists,
    func,
    literal,
    select,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.store.clock import UtcDateTime
from app.store.records import (
    ArtifactRecord,
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceDatasetRecord,
    DistanceRecord,
    JobArtifactRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
    WorkRecord,
)

Shown: TypeAlias = dict[str, Any]
"""A record as replies show it: its columns, the names of its datasets, its files."""

_COMMON: Final = (
    *("id", "priority", "request_id", "state", "phase", "progress", "attempt", "created_at", "started_at"),
    *("finished_at", "timings", "error", "request"),
)
_OWN: Final[dict[type[WorkRecord], tuple[str, ...]]] = {
    DatasetRecord: ("name", "tags", "notes", "digest", "upload_id", "result"),
    DistanceRecord: ("kind",),
    SelectionRecord: (),
    JobRecord: ("name", "tags", "notes", "strategy", "alpha"),
}
_FILES: Final[dict[type[WorkRecord], tuple[type[ArtifactRecord], str]]] = {
    DatasetRecord: (DatasetArtifactRecord, "dataset_id"),
    DistanceRecord: (DistanceArtifactRecord, "distance_id"),
    SelectionRecord: (SelectionArtifactRecord, "selection_id"),
    JobRecord: (JobArtifactRecord, "job_id"),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which records a list shows; all that is given must hold.

    Attributes:
        states: One of these; any, where there are none.
        created_after: Later than this.
        created_before: Earlier than this.
        tags: All of these.
        name_prefix: How the name begins.
        strategy: Of a job.
        target_id: The dataset that a job learns, or that a selection is made from.
        dataset_id: A dataset that a distance is between.
    """

    states: tuple[str, ...] = ()
    created_after: dt.datetime | None = None
    created_before: dt.datetime | None = None
    tags: tuple[str, ...] = ()
    name_prefix: str | None = None
    strategy: str | None = None
    target_id: UUID | None = None
    dataset_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """In which order a list shows records. By ``finished_at`` it shows those that have ended."""

    key: Literal["created_at", "finished_at"]
    descending: bool


@dataclass(frozen=True, slots=True)
class Position:
    """The record that a page begins behind: what it is ordered by, and its id, where several share that moment."""

    at: dt.datetime
    id: UUID


def find_shown(session: Session, kind: type[WorkRecord], owner: str, work_id: UUID) -> Shown | None:
    """The owner's record with this id, with its result."""
    row = session.execute(_one(kind, _dialect(session)), {"wanted": work_id, "owned_by": owner}).one_or_none()
    return None if row is None else _shape(row._asdict())


def list_shown(
    session: Session,
    kind: type[WorkRecord],
    owner: str,
    filters: Filters,
    order: Order,
    *,
    after: Position | None,
    limit: int,
) -> list[Shown]:
    """The owner's records behind a position; of jobs, distances and selections without the results."""
    table, dialect = kind.__table__, _dialect(session)
    holds = [table.c.owner == owner, *_conditions(table, filters, dialect)]
    if order.key == "finished_at":
        holds.append(table.c.finished_at.is_not(None))
    if after is not None:
        holds.append(_behind(table, order, after))
    shown = select(*_columns(kind, dialect))
    if len(filters.states) > 1:
        # No index has several states in the order of the list: the first of each, and of these the first.
        each = [_first(select(table.c.id), table, [*holds, table.c.state == s], order, limit) for s in filters.states]
        holds = [table.c.id.in_(union_all(*(select(part.subquery().c.id) for part in each)))]
    elif filters.states:
        holds.append(table.c.state == filters.states[0])
    return [_shape(row._asdict()) for row in session.execute(_first(shown, table, holds, order, limit))]


def _first(
    chosen: Select[Any], table: FromClause, holds: Sequence[ColumnElement[bool]], order: Order, limit: int
) -> Select[Any]:
    keys = (table.c[order.key], table.c.id)
    ordered = (key.desc() for key in keys) if order.descending else keys
    return chosen.where(*holds).order_by(*ordered).limit(limit)


def _behind(table: FromClause, order: Order, after: Position) -> ColumnElement[bool]:
    keys = tuple_(table.c[order.key], table.c.id)
    position = tuple_(literal(after.at, UtcDateTime), literal(after.id, table.c.id.type))
    return keys < position if order.descending else keys > position


def _conditions(table: FromClause, filters: Filters, dialect: str) -> list[ColumnElement[bool]]:
    holds = []
    if filters.created_after is not None:
        holds.append(table.c.created_at > filters.created_after)
    if filters.created_before is not None:
        holds.append(table.c.created_at < filters.created_before)
    if filters.tags:
        holds += _tagged(table.c.tags, filters.tags, dialect)
    if filters.name_prefix is not None:
        # Not LIKE: SQLite's takes a and A for the same.
        holds += [table.c.name >= filters.name_prefix, table.c.name < filters.name_prefix + "\U0010ffff"]
    if filters.strategy is not None:
        holds.append(table.c.strategy == filters.strategy)
    if filters.target_id is not None:
        holds.append(table.c.target_id == filters.target_id)
    if filters.dataset_id is not None:
        members = DistanceDatasetRecord
        between = select(members.distance_id).where(members.dataset_id == filters.dataset_id)
        holds.append(table.c.id.in_(between))
    return holds


def _tagged(column: ColumnElement[Any], tags: tuple[str, ...], dialect: str) -> list[ColumnElement[bool]]:
    if dialect == "postgresql":
        return [type_coerce(column, JSONB).contains(list(tags))]
    each = [func.json_each(column).table_valued("value", name=f"tag_{place}") for place in range(len(tags))]
    return [exists().where(found.c.value == tag) for found, tag in zip(each, tags, strict=True)]


@cache
def _one(kind: type[WorkRecord], dialect: str) -> Select[Any]:
    table = kind.__table__
    columns = _columns(kind, dialect)
    columns += () if "result" in _OWN[kind] else (table.c.result,)
    return select(*columns).where(table.c.id == bindparam("wanted"), table.c.owner == bindparam("owned_by"))


@cache
def _columns(kind: type[WorkRecord], dialect: str) -> tuple[ColumnElement[Any], ...]:
    table = kind.__table__
    columns: list[ColumnElement[Any]] = [table.c[name] for name in (*_COMMON, *_OWN[kind])]
    columns += [_name_of(table, role).label(role) for role in ("target", "source") if f"{role}_id" in table.c]
    if kind is DistanceRecord:
        members = DistanceDatasetRecord.__table__
        datasets = DatasetRecord.__table__
        pair = _json(dialect, position=members.c.position, name=datasets.c.name)
        named = select(pair).join_from(members, datasets).where(members.c.distance_id == table.c.id)
        columns.append(named.scalar_subquery().label("datasets"))
    record, belongs_to = _FILES[kind]
    files = record.__table__
    listed = _json(dialect, **{name: files.c[name] for name in ("name", "size", "sha256", "media_type")})
    columns.append(select(listed).where(files.c[belongs_to] == table.c.id).scalar_subquery().label("artifacts"))
    return tuple(columns)


def _name_of(table: FromClause, role: str) -> ColumnElement[str]:
    dataset = DatasetRecord.__table__.alias(role)
    return select(dataset.c.name).where(dataset.c.id == table.c[f"{role}_id"]).scalar_subquery()


def _json(dialect: str, **columns: ColumnElement[Any]) -> ColumnElement[Any]:
    """All rows as one list of objects, in no order."""
    parts = [part for name, column in columns.items() for part in (literal(name), column)]
    if dialect == "postgresql":
        return func.json_agg(func.json_build_object(*parts), type_=JSON)
    return func.json_group_array(func.json_object(*parts), type_=JSON)


def _shape(row: Shown) -> Shown:
    row["artifacts"] = sorted(row["artifacts"] or (), key=lambda artifact: artifact["name"])
    if "datasets" in row:
        members = sorted(row["datasets"], key=lambda member: member["position"])
        row["datasets"] = [member["name"] for member in members]
    if "digest" in row:
        row["labelled"] = row["request"].get("labelled", True)
    return row


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name
