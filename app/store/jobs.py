"""Jobs, distances, selections and their lists in the database."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session, defaultload, defer, lazyload
from sqlalchemy.sql.base import ExecutableOption

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


def add_job(
    session: Session,
    origin: Origin,
    *,
    target: DatasetRecord,
    source: DatasetRecord | None,
    request: dict[str, Any],
    manifest: JobManifestRecord | None = None,
) -> JobRecord:
    """Add a job that waits for a worker; where several alphas are asked for, its own is still to be chosen."""
    record = JobRecord(
        **origin.columns,
        target=target,
        source=source,
        strategy=request["strategy"],
        alpha=None if isinstance(request["alpha"], list | str) else request["alpha"],
        request=request,
        manifest=manifest,
        artifacts=[],
    )
    session.add(record)
    session.flush()
    return record


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
    return session.scalars(select(kind).where(kind.id == work_id, kind.owner == owner)).one_or_none()


def list_work(session: Session, kind: type[AnyWork], owner: str, *, before: UUID | None, limit: int) -> list[AnyWork]:
    """The owner's records, newest first, those older than ``before``; results are read when they are asked for."""
    newest_first = select(kind).where(kind.owner == owner).options(*_unread(kind)).order_by(kind.id.desc()).limit(limit)
    return list(session.scalars(newest_first if before is None else newest_first.where(kind.id < before)))


def _unread(kind: type[WorkRecord]) -> list[ExecutableOption]:
    """What a list does not show."""
    if issubclass(kind, DistanceRecord):
        named = defaultload(DistanceRecord.members).defaultload(DistanceDatasetRecord.dataset)
        return [defer(kind.result), named.load_only(DatasetRecord.name)]
    if issubclass(kind, JobRecord):
        roles = (JobRecord.source, JobRecord.target)
        return [defer(kind.result), lazyload(JobRecord.manifest), *map(_name_of, roles)]
    if issubclass(kind, SelectionRecord):
        return [defer(kind.result), *map(_name_of, (SelectionRecord.source, SelectionRecord.target))]
    return []


def _name_of(
    role: InstrumentedAttribute[DatasetRecord] | InstrumentedAttribute[DatasetRecord | None],
) -> ExecutableOption:
    return defaultload(role).load_only(DatasetRecord.name)
