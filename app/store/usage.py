"""What an owner takes up."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.states import WorkState
from app.store.records import (
    ArtifactRecord,
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceRecord,
    JobArtifactRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
    UploadRecord,
    WorkRecord,
)

_KINDS: tuple[type[WorkRecord], ...] = (DatasetRecord, DistanceRecord, SelectionRecord, JobRecord)
_UNFINISHED = (WorkState.QUEUED, WorkState.RUNNING)


def take_turns(session: Session, owner: str) -> None:
    """Let one transaction of the owner at a time past this, until it ends: so that counts stay true while it adds."""
    # On SQLite a transaction that writes is alone already.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(owner, 0))))


def count_unfinished(session: Session, owner: str) -> int:
    """How much of the owner's work waits or runs, what this transaction has added included."""
    counts = [
        select(func.count()).where(kind.owner == owner, kind.state.in_(_UNFINISHED)).scalar_subquery()
        for kind in _KINDS
    ]
    return int(session.execute(select(_sum(counts))).scalar_one())


def stored_bytes(session: Session, owner: str) -> int:
    """Bytes of the owner's artifacts, and of uploads at the size they are announced with."""
    sizes = [
        _size_of(JobArtifactRecord, JobArtifactRecord.job_id, JobRecord, owner),
        _size_of(DistanceArtifactRecord, DistanceArtifactRecord.distance_id, DistanceRecord, owner),
        _size_of(DatasetArtifactRecord, DatasetArtifactRecord.dataset_id, DatasetRecord, owner),
        _size_of(SelectionArtifactRecord, SelectionArtifactRecord.selection_id, SelectionRecord, owner),
        select(func.coalesce(func.sum(UploadRecord.size), 0)).where(UploadRecord.owner == owner).scalar_subquery(),
    ]
    return int(session.execute(select(_sum(sizes))).scalar_one())


def _size_of(
    artifact: type[ArtifactRecord], work_id: InstrumentedAttribute[UUID], kind: type[WorkRecord], owner: str
) -> ScalarSelect[Any]:
    sizes = select(func.coalesce(func.sum(artifact.size), 0)).join(kind, work_id == kind.id)
    return sizes.where(kind.owner == owner).scalar_subquery()


def _sum(parts: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return reduce(add, parts)
