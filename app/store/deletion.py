"""Taking records out of the database, with all that is theirs."""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.states import WorkState
from app.store.records import (
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceDatasetRecord,
    DistanceRecord,
    EventRecord,
    JobArtifactRecord,
    JobManifestRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
    WorkRecord,
)

_PARTS: Final[dict[type[WorkRecord], tuple[InstrumentedAttribute[UUID], ...]]] = {
    DatasetRecord: (DatasetArtifactRecord.dataset_id,),
    DistanceRecord: (DistanceArtifactRecord.distance_id, DistanceDatasetRecord.distance_id),
    SelectionRecord: (SelectionArtifactRecord.selection_id,),
    JobRecord: (JobArtifactRecord.job_id, JobManifestRecord.job_id),
}
"""What goes with a record: columns that name it, each in a table of its own."""


def hold(session: Session, kind: type[WorkRecord], work_id: UUID) -> WorkState | None:
    """Let nobody change this work, or refer to it, until the transaction ends; its state, None if it is gone."""
    state = session.execute(select(kind.state).where(kind.id == work_id).with_for_update()).scalar_one_or_none()
    return None if state is None else WorkState(state)


def count_uses(session: Session, kind: type[WorkRecord], work_id: UUID) -> dict[type[WorkRecord], int]:
    """How many records of each kind refer to a dataset or a selection; only kinds that do."""
    if issubclass(kind, DatasetRecord):
        tested = select(JobManifestRecord.job_id).where(JobManifestRecord.test_id == work_id)
        measured = select(DistanceDatasetRecord.distance_id).where(DistanceDatasetRecord.dataset_id == work_id)
        refers: dict[type[WorkRecord], ColumnElement[bool]] = {
            JobRecord: or_(JobRecord.target_id == work_id, JobRecord.source_id == work_id, JobRecord.id.in_(tested)),
            SelectionRecord: or_(SelectionRecord.target_id == work_id, SelectionRecord.source_id == work_id),
            DistanceRecord: DistanceRecord.id.in_(measured),
        }
    elif issubclass(kind, SelectionRecord):
        trained = select(JobManifestRecord.job_id).where(JobManifestRecord.selection_id == work_id)
        refers = {JobRecord: JobRecord.id.in_(trained)}
    else:
        refers = {}
    counts = {
        user: session.execute(select(func.count()).select_from(user).where(uses)).scalar_one()
        for user, uses in refers.items()
    }
    return {user: count for user, count in counts.items() if count}


def remove_work(session: Session, kind: type[WorkRecord], work_id: UUID) -> None:
    """Take out a record that nothing refers to, with its parts and its events."""
    for owner in (*_PARTS[kind], EventRecord.work_id):
        session.execute(delete(owner.class_).where(owner == work_id))
    session.execute(delete(kind).where(kind.id == work_id))
