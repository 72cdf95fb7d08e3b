"""Chores: who does them, what has become old, and which blobs nothing refers to."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.states import WorkState
from app.store.clock import now_plus
from app.store.records import (
    ArtifactRecord,
    ChoreRecord,
    DatasetArtifactRecord,
    DatasetRecord,
    DeliveryRecord,
    DistanceArtifactRecord,
    DistanceRecord,
    EventRecord,
    JobArtifactRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
    UploadRecord,
    WorkRecord,
)

_ENDED: Final = tuple(state for state in WorkState if state.is_terminal)
_MAKERS: Final[dict[str, tuple[type[WorkRecord], type[ArtifactRecord], InstrumentedAttribute[UUID]]]] = {
    "jobs": (JobRecord, JobArtifactRecord, JobArtifactRecord.job_id),
    "distances": (DistanceRecord, DistanceArtifactRecord, DistanceArtifactRecord.distance_id),
    "selections": (SelectionRecord, SelectionArtifactRecord, SelectionArtifactRecord.selection_id),
    "datasets": (DatasetRecord, DatasetArtifactRecord, DatasetArtifactRecord.dataset_id),
}
_UPLOADS: Final = "uploads"


# --- Chores


def is_due(session: Session, name: str) -> bool:
    """Whether a chore may have to be done: a look that takes no lock."""
    later = select(ChoreRecord.name).where(ChoreRecord.name == name, ChoreRecord.due_at > now_plus())
    return session.execute(later).one_or_none() is None


def take_chore(session: Session, name: str, *, every: float) -> bool:
    """Take a chore on that is due; False if it is not, or another process was faster.

    Args:
        session: To be committed before the chore is begun.
        name: The chore.
        every: Seconds until it is due again, whatever becomes of it now.
    """
    due = update(ChoreRecord).where(ChoreRecord.name == name, ChoreRecord.due_at <= now_plus())
    moved = due.values(due_at=now_plus(every)).returning(ChoreRecord.name)
    if session.execute(moved).one_or_none() is not None:
        return True
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = insert(ChoreRecord).values(name=name, due_at=now_plus(every)).on_conflict_do_nothing()
    return session.execute(first.returning(ChoreRecord.name)).one_or_none() is not None


# --- What has become old


def forget_events(session: Session, *, older_than: float, limit: int) -> int:
    """Delete events that happened more than so many seconds ago, and say how many."""
    key = (EventRecord.work_id, EventRecord.number)
    old = select(*key).where(EventRecord.at < now_plus(-older_than)).limit(limit)
    gone = delete(EventRecord).where(tuple_(*key).in_(old)).returning(EventRecord.number)
    return len(session.scalars(gone.execution_options(synchronize_session=False)).all())


def forget_deliveries(session: Session, *, older_than: float, limit: int) -> int:
    """Delete messages to webhooks that are over and more than so many seconds old, and say how many."""
    over = DeliveryRecord.next_attempt_at.is_(None)
    old = select(DeliveryRecord.id).where(DeliveryRecord.created_at < now_plus(-older_than), over).limit(limit)
    gone = delete(DeliveryRecord).where(DeliveryRecord.id.in_(old)).returning(DeliveryRecord.id)
    return len(session.scalars(gone.execution_options(synchronize_session=False)).all())


# --- Blobs


def is_collectable(key: str) -> bool:
    """Whether a key is of a kind that this database accounts for; others are left alone."""
    return _owner_of(key) is not None


def find_unrecorded(session: Session, keys: Collection[str]) -> set[str]:
    """Those of these keys that no artifact has, and no upload that is there could have: what garbage is among."""
    left = set(keys)
    for place, owned in _by_place(keys).items():
        if place == _UPLOADS:
            there = _existing(session, UploadRecord.id, owned)
            left -= {key for upload_id in there for key in owned[upload_id]}
        else:
            _, artifact, maker = _MAKERS[place]
            left -= set(session.scalars(select(artifact.key).where(maker.in_(owned))))
    return left


def hold_garbage(session: Session, keys: Collection[str]) -> set[str]:
    """Those of these keys that nothing refers to and, while this transaction lasts, nothing will.

    What is under way may be about to record what it has stored: it is left alone. What has ended is held, so that
    nobody can begin it again meanwhile. What is gone does not come back: ids are never given out twice.
    """
    safe: set[str] = set()
    for place, owned in _by_place(keys).items():
        if place == _UPLOADS:
            settled = owned.keys() - _existing(session, UploadRecord.id, owned)
        else:
            kind = _MAKERS[place][0]
            ended = select(kind.id).where(kind.id.in_(owned), kind.state.in_(_ENDED)).order_by(kind.id)
            held = set(session.scalars(ended.with_for_update()))
            settled = held | (owned.keys() - _existing(session, kind.id, owned))
        safe.update(key for owner in settled for key in owned[owner])
    # Only now, for what has ended just before it was held has its artifacts since.
    return find_unrecorded(session, safe)


def _existing(session: Session, column: InstrumentedAttribute[UUID], ids: Collection[UUID]) -> set[UUID]:
    return set(session.scalars(select(column).where(column.in_(ids))))


def _by_place(keys: Iterable[str]) -> dict[str, dict[UUID, list[str]]]:
    found: dict[str, dict[UUID, list[str]]] = defaultdict(lambda: defaultdict(list))
    for key in keys:
        owner = _owner_of(key)
        if owner is not None:
            found[owner[0]][owner[1]].append(key)
    return found


def _owner_of(key: str) -> tuple[str, UUID] | None:
    """Where a key is, and of what: ``jobs/{id}/...``, ``uploads/{id}/...``."""
    place, _, rest = key.partition("/")
    text, _, name = rest.partition("/")
    if place not in {*_MAKERS, _UPLOADS} or not name:
        return None
    try:
        owner = UUID(text)
    except ValueError:
        return None
    return (place, owner) if str(owner) == text else None
