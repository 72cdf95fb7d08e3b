"""Jobs, distances and their lists in the database."""

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, defaultload, defer

from app.store.records import ArtifactRecord, DatasetRecord, DistanceRecord, JobRecord, WorkRecord

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
    session: Session, *, source: DatasetRecord, target: DatasetRecord, request: dict[str, Any]
) -> DistanceRecord:
    """Add a distance that waits for a worker."""
    record = DistanceRecord(source=source, target=target, request=request)
    session.add(record)
    session.flush()
    return record


def get_work(session: Session, kind: type[AnyWork], work_id: UUID) -> AnyWork | None:
    """The record with this id."""
    return session.get(kind, work_id)


def list_work(session: Session, kind: type[AnyWork], *, before: UUID | None, limit: int) -> list[AnyWork]:
    """Records from the newest to the oldest, those older than ``before``; results are read when they are asked for."""
    unread = [defer(kind.result)] if kind is not DatasetRecord else []
    roles = [getattr(kind, role) for role in ("source", "target") if hasattr(kind, role)]
    unread += [defaultload(role).defer(DatasetRecord.result) for role in roles]
    newest_first = select(kind).options(*unread).order_by(kind.id.desc()).limit(limit)
    return list(session.scalars(newest_first if before is None else newest_first.where(kind.id < before)))


def find_artifact(session: Session, job_id: UUID, name: str) -> ArtifactRecord | None:
    """The job's artifact of this name."""
    return session.get(ArtifactRecord, (job_id, name))
