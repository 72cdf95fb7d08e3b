"""What is there when the storm is over, as the judge wants to know it."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import obstore
from obstore.store import ObjectStore
from sqlalchemy import select

from app.states import EventKind, WorkState
from app.store.records import (
    DatasetArtifactRecord,
    DeliveryRecord,
    DistanceArtifactRecord,
    EventRecord,
    JobArtifactRecord,
    JobRecord,
    SelectionArtifactRecord,
)
from app.store.sessions import Session
from benchmarks.chaos.clients import Wish
from benchmarks.chaos.faults import Departure, queue_names
from benchmarks.chaos.field import Field


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        metrics: Digest of its whole result.
        files: The sha256 of each of its artifacts by name.
    """

    metrics: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ArtifactFacts:
    """A row that says where a file is."""

    name: str
    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class EventFacts:
    """A row that says what happened to a job; ``state`` where that is what it says."""

    number: int
    attempt: int
    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """A job in the database.

    Attributes:
        id: As clients know it.
        state: Where it stands.
        outcome: What came of it.
        attempt: How often it was begun.
        has_lease: Whether anybody still holds it.
        error: Why it failed.
        last_event: The number of its last event.
        events: All of them, by number.
        artifacts: Its files.
        deliveries: How many messages about its end each webhook has.
        shown: The state that the API shows.
    """

    id: str
    state: str
    outcome: Outcome
    attempt: int = 1
    has_lease: bool = False
    error: str | None = None
    last_event: int = 0
    events: tuple[EventFacts, ...] = ()
    artifacts: tuple[ArtifactFacts, ...] = ()
    deliveries: Mapping[str, int] = field(default_factory=dict)
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class WishFacts:
    """What a client wanted, and what it was told; as ``Wish``."""

    key: str
    spec: str
    ids: frozenset[str]
    n_posts: int = 1
    refusal: str | None = None
    wants_cancel: bool = False
    cancel: str | None = None
    is_deleted: bool = False
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is judged.

    Attributes:
        references: What came of each spec while nothing was disturbed.
        wishes: What clients wanted during the storm.
        jobs: All of the database but those of the references.
        blobs: Size and sha256 of every blob by its key.
        artifact_keys: Those that any row names.
        webhooks: Ids of those who are to be told of every end.
        messages: How many are at the broker.
        leftovers: Files where only unfinished ones lie.
        strays: Processes that belong to no part, and those that outlived the service.
        departures: Of parts that were told to leave.
    """

    references: Mapping[str, Outcome]
    wishes: tuple[WishFacts, ...]
    jobs: tuple[JobFacts, ...]
    blobs: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    artifact_keys: frozenset[str] = frozenset()
    webhooks: frozenset[str] = frozenset()
    messages: int = 0
    leftovers: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    departures: tuple[Departure, ...] = ()


def outcome_of(record: JobRecord) -> Outcome:
    """What came of a job, without what may differ between equal ones."""
    told = json.dumps(record.result, sort_keys=True).encode()
    files = {artifact.name: artifact.sha256 for artifact in record.artifacts}
    return Outcome(hashlib.sha256(told).hexdigest(), files)


def facts_of_wish(wish: Wish) -> WishFacts:
    """As the judge wants to know it."""
    asked = wish.submission
    return WishFacts(
        asked.key,
        asked.spec,
        frozenset(wish.ids),
        wish.n_posts,
        wish.refusal,
        asked.cancel_after is not None,
        wish.cancel,
        wish.is_deleted,
        tuple(wish.oddities),
    )


def read_jobs(session: Session, shown: Mapping[str, str], without: Iterable[str]) -> tuple[JobFacts, ...]:
    """All jobs but those of some ids, with the states that the API shows."""
    events = _events(session)
    deliveries = _deliveries(session)
    left_out = set(without)
    return tuple(
        JobFacts(
            id=str(record.id),
            state=record.state,
            outcome=outcome_of(record),
            attempt=record.attempt,
            has_lease=record.lease_expires_at is not None,
            error=json.dumps(record.error) if record.error else None,
            last_event=record.last_event,
            events=tuple(events.get(str(record.id), ())),
            artifacts=tuple(ArtifactFacts(row.name, row.key, row.size, row.sha256) for row in record.artifacts),
            deliveries=deliveries.get(str(record.id), {}),
            shown=shown.get(str(record.id)),
        )
        for record in session.scalars(select(JobRecord).order_by(JobRecord.id))
        if str(record.id) not in left_out
    )


def read_artifact_keys(session: Session) -> frozenset[str]:
    """All keys that any artifact's row names."""
    kinds = (JobArtifactRecord, DistanceArtifactRecord, SelectionArtifactRecord, DatasetArtifactRecord)
    return frozenset(key for kind in kinds for key in session.scalars(select(kind.key)))


def read_blobs(store: ObjectStore) -> dict[str, tuple[int, str]]:
    """Every blob, read in whole."""
    found = {}
    for page in obstore.list(store):
        for told in page:
            content = bytes(obstore.get(store, told["path"]).bytes())
            found[told["path"]] = (len(content), hashlib.sha256(content).hexdigest())
    return found


def list_orphans(store: ObjectStore, known: frozenset[str]) -> set[str]:
    """Keys of blobs that are not among the known ones."""
    return {told["path"] for page in obstore.list(store) for told in page} - known


def count_messages(field: Field) -> int:
    """Those that wait, and those that nobody has acknowledged yet."""
    return sum(int(field.broker.llen(name)) for name in queue_names(field)) + int(field.broker.hlen("unacked"))


def list_leftovers(field: Field) -> tuple[str, ...]:
    """Files of unfinished work."""
    places = [folder / name for folder in field.work_folders for name in ("scratch", "tuning")]
    found = sorted(path for place in places for path in place.rglob("*") if path.is_file())
    return tuple(str(path.relative_to(field.folder)) for path in found)


def list_unfinished(session: Session) -> set[str]:
    """Ids of all jobs that have not ended."""
    rows = session.execute(select(JobRecord.id, JobRecord.state))
    return {str(job_id) for job_id, state in rows if not WorkState(state).is_terminal}


def _events(session: Session) -> dict[str, list[EventFacts]]:
    found: dict[str, list[EventFacts]] = {}
    rows = session.scalars(select(EventRecord).order_by(EventRecord.work_id, EventRecord.number))
    for row in rows:
        state = row.body.get("state") if row.kind == EventKind.STATE else None
        found.setdefault(str(row.work_id), []).append(EventFacts(row.number, row.attempt, state))
    return found


def _deliveries(session: Session) -> dict[str, Mapping[str, int]]:
    rows = session.execute(select(DeliveryRecord.subject_id, DeliveryRecord.webhook_id)).all()
    found: dict[str, Counter[str]] = {}
    for subject, webhook in rows:
        found.setdefault(str(subject), Counter())[str(webhook)] += 1
    return dict(found)
