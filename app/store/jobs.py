"""Jobs, distances and selections in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from sqlalchemy import Select, Table, and_, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from app.states import WorkState
from app.store.records import (
    USUAL_PRIORITY,
    DatasetRecord,
    DistanceDatasetRecord,
    DistanceRecord,
    JobManifestRecord,
    JobRecord,
    SelectionRecord,
    WorkRecord,
)

AnyWork = TypeVar("AnyWork", bound=WorkRecord)
_JOBS: Final = cast("Table", JobRecord.__table__)
_INSERT_JOB: Final = insert(_JOBS).returning(_JOBS.c.created_at)
_NO_JOB: Final[dict[str, Any]] = {column.name: None for column in _JOBS.c if column.nullable}
COUNTS: Final = ("n_pool", "n_test", "n_source", "n_target", "n_samples")
"""Where results say how many samples were computed on."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where work comes from.

    Attributes:
        owner: Whose it is.
        request_id: The HTTP request that asked for it.
        priority: From 0 to 9; higher goes first.
        reuse_key: Equal for requests whose results are equal; None where that cannot be told.
    """

    owner: str
    request_id: str | None = None
    priority: int = USUAL_PRIORITY
    reuse_key: str | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """As the records have it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Inserted:
    """A record that one statement has written.

    Attributes:
        id: Its id.
        priority: From 0 to 9.
        shown: What replies show of it.
    """

    id: UUID
    priority: int
    shown: dict[str, Any]


def insert_job(
    session: Session,
    origin: Origin,
    *,
    target: DatasetRecord,
    source: DatasetRecord | None,
    request: dict[str, Any],
    described: Mapping[str, Any] = MappingProxyType({}),
) -> Inserted:
    """The same as ``add_job`` in one statement, and without what the ORM would find out of a new record."""
    given = origin.columns | dict(described) | _columns_of(target, source, request)
    added = session.connection().execute(_INSERT_JOB, given)
    columns = _NO_JOB | cast("dict[str, Any]", added.last_inserted_params()) | {"created_at": added.scalar_one()}
    names = {"target": target.name, "source": None if source is None else source.name}
    return Inserted(columns["id"], columns["priority"], columns | names | {"artifacts": ()})


def add_job(
    session: Session,
    origin: Origin,
    *,
    target: DatasetRecord,
    source: DatasetRecord | None,
    request: dict[str, Any],
    manifest: JobManifestRecord | None = None,
    described: Mapping[str, Any] = MappingProxyType({}),
) -> JobRecord:
    """Add a job that waits for a worker; where several alphas are asked for, its own is still to be chosen.

    ``described`` are the columns that its owner filled in to find it again.
    """
    columns = origin.columns | dict(described) | _columns_of(target, source, request)
    record = JobRecord(**columns, target=target, source=source, manifest=manifest, artifacts=[])
    session.add(record)
    session.flush()
    return record


def _columns_of(target: DatasetRecord, source: DatasetRecord | None, request: dict[str, Any]) -> dict[str, Any]:
    return {
        "target_id": target.id,
        "source_id": None if source is None else source.id,
        "strategy": request["strategy"],
        "alpha": None if isinstance(request["alpha"], list | str) else request["alpha"],
        "request": request,
    }


def add_selection(
    session: Session, origin: Origin, *, target: DatasetRecord, source: DatasetRecord | None, request: dict[str, Any]
) -> SelectionRecord:
    """Add a selection that waits for a worker."""
    record = SelectionRecord(**origin.columns, target=target, source=source, request=request, artifacts=[])
    session.add(record)
    session.flush()
    return record


def add_distance(
    session: Session, origin: Origin, *, kind: str, datasets: Sequence[DatasetRecord], request: dict[str, Any]
) -> DistanceRecord:
    """Add a distance that waits for a worker."""
    members = [DistanceDatasetRecord(position=position, dataset=dataset) for position, dataset in enumerate(datasets)]
    record = DistanceRecord(**origin.columns, kind=kind, members=members, request=request, artifacts=[])
    session.add(record)
    session.flush()
    return record


def get_work(session: Session, kind: type[AnyWork], work_id: UUID) -> AnyWork | None:
    """The record with this id, whoever owns it: for workers."""
    return session.get(kind, work_id)


def find_work(session: Session, kind: type[AnyWork], owner: str, work_id: UUID) -> AnyWork | None:
    """The owner's record with this id."""
    return session.scalars(_owned(kind), {"wanted": work_id, "owned_by": owner}).one_or_none()


@cache
def _owned(kind: type[AnyWork]) -> Select[AnyWork]:
    # Put together once: that costs as much as to carry it out.
    return select(kind).where(kind.id == bindparam("wanted"), kind.owner == bindparam("owned_by"))


def find_equal(session: Session, kind: type[WorkRecord], owner: str, reuse_key: str) -> UUID | None:
    """The owner's work with this key that has succeeded or, failing that, is about to; the oldest of these."""
    done, under_way = WorkState.SUCCEEDED, (WorkState.QUEUED, WorkState.RUNNING)
    useful = or_(kind.state == done, and_(kind.state.in_(under_way), ~kind.cancel_requested))
    equal = select(kind.id).where(kind.reuse_key == reuse_key, kind.owner == owner, useful)
    return session.scalars(equal.order_by(kind.state != done, kind.id).limit(1)).one_or_none()


@dataclass(frozen=True, slots=True)
class Run:
    """Work that has succeeded, as far as its cost is concerned.

    Attributes:
        request: Every setting.
        timings: Seconds by phase.
        counts: The numbers of samples in its result, by their names there.
    """

    request: dict[str, Any]
    timings: dict[str, float]
    counts: dict[str, Any]


def list_runs(session: Session, kind: type[WorkRecord], owner: str, *, limit: int) -> list[Run]:
    """What the owner's latest work of a kind has cost."""
    counts = [kind.result[name].label(name) for name in COUNTS]
    latest = (
        select(kind.request, kind.timings, *counts)
        .where(kind.owner == owner, kind.state == WorkState.SUCCEEDED, kind.timings.is_not(None))
        .order_by(kind.created_at.desc(), kind.id.desc())
        .limit(limit)
    )
    return [
        Run(request, timings, dict(zip(COUNTS, sizes, strict=True)))
        for request, timings, *sizes in session.execute(latest)
    ]


def read_notes(session: Session, kind: type[JobRecord | DatasetRecord], owner: str, work_id: UUID) -> dict[str, str]:
    """What the owner has noted on a record; nobody else changes it until this transaction ends."""
    notes = select(kind.notes).where(kind.id == work_id, kind.owner == owner).with_for_update()
    return session.scalars(notes).one_or_none() or {}


def describe(
    session: Session, kind: type[JobRecord | DatasetRecord], owner: str, work_id: UUID, changes: Mapping[str, Any]
) -> None:
    """Write down what the owner says of a record; nothing, if there is none."""
    session.execute(update(kind).where(kind.id == work_id, kind.owner == owner).values(**changes))
