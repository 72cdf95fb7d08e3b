"""Jobs, distances and their lists in the database."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, defaultload, defer
from sqlalchemy.sql.base import ExecutableOption

from app.store.records import DatasetRecord, DistanceDatasetRecord, DistanceRecord, JobRecord, WorkRecord

AnyWork = TypeVar("AnyWork", bound=WorkRecord)


def add_job(
    session: Session, *, target: DatasetRecord, source: DatasetRecord | None, request: dict[str, Any]
) -> JobRecord:
    """Add a job that waits for a worker."""
    record = JobRecord(
        target=target,
        source=source,
        strategy=request["strategy"],
        alpha=request["alpha"],
        request=request,
        artifacts=[],
    )
    session.add(record)
    session.flush()
    return record


def add_distance(
    session: Session, *, kind: str, datasets: Sequence[DatasetRecord], request: dict[str, Any]
) -> DistanceRecord:
    """Add a distance that waits for a worker."""
    members = [DistanceDatasetRecord(position=position, dataset=dataset) for position, dataset in enumerate(datasets)]
    record = DistanceRecord(kind=kind, members=members, request=request, artifacts=[])
    session.add(record)
    session.flush()
    return record


def get_work(session: Session, kind: type[AnyWork], work_id: UUID) -> AnyWork | None:
    """The record with this id."""
    return session.get(kind, work_id)


def list_work(session: Session, kind: type[AnyWork], *, before: UUID | None, limit: int) -> list[AnyWork]:
    """Records from the newest to the oldest, those older than ``before``; results are read when they are asked for."""
    newest_first = select(kind).options(*_unread(kind)).order_by(kind.id.desc()).limit(limit)
    return list(session.scalars(newest_first if before is None else newest_first.where(kind.id < before)))


def _unread(kind: type[WorkRecord]) -> list[ExecutableOption]:
    """What a list does not show."""
    if issubclass(kind, DistanceRecord):
        named = defaultload(DistanceRecord.members).defaultload(DistanceDatasetRecord.dataset)
        return [defer(kind.result), named.load_only(DatasetRecord.name)]
    if issubclass(kind, JobRecord):
        roles = (JobRecord.source, JobRecord.target)
        return [defer(kind.result), *(defaultload(role).load_only(DatasetRecord.name) for role in roles)]
    return []
