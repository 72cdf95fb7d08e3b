"""The tables of work and what comes of it."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship
from uuid6 import uuid7

from app.states import WorkState
from app.store.clock import UtcDateTime, now_plus
from app.store.records.base import Document, Record

USUAL_PRIORITY = 5


class WorkRecord(Record):
    """Something that a worker has to do, and how far it is.

    A worker holds the work while its lease runs. ``attempt`` counts the claims and fences them: whoever
    writes names the attempt it was given, and a worker that lost its lease writes nothing. ``forgiven`` of the
    attempts do not count against the work: those before a retry, and those whose worker was told to leave.
    """

    __abstract__ = True

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        """The sweep looks for work by state; the others serve the lists, owner by owner (app/store/listing.py)."""
        states = ", ".join(f"'{state}'" for state in WorkState)
        return (
            Index(None, "state", "lease_expires_at"),
            Index(None, "owner", "created_at", "id"),
            Index(None, "owner", "state", "created_at", "id"),
            Index(None, "owner", "finished_at", "id"),
            *cls._more_table_args(),
            CheckConstraint(f"state IN ({states})", name="state"),
        )

    @classmethod
    def _more_table_args(cls) -> tuple[Any, ...]:
        return ()

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid7)
    owner: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(default=USUAL_PRIORITY)
    state: Mapped[str] = mapped_column(String(16), default=WorkState.QUEUED)
    phase: Mapped[str | None] = mapped_column(String(16))
    progress: Mapped[float] = mapped_column(default=0.0)
    attempt: Mapped[int] = mapped_column(default=0)
    forgiven: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    lease_expires_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    enqueued_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=now_plus())
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=now_plus())
    started_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    timings: Mapped[dict[str, float] | None] = mapped_column(Document)
    error: Mapped[dict[str, Any] | None] = mapped_column(Document)
    request: Mapped[dict[str, Any]] = mapped_column(Document)
    result: Mapped[dict[str, Any] | None] = mapped_column(Document)
    reuse_key: Mapped[str | None] = mapped_column(String(64), index=True)
    last_event: Mapped[int] = mapped_column(default=1)


Name = String(200).with_variant(String(200, collation="C"), "postgresql")
"""A name; compared letter by letter everywhere, so that an index finds those that begin in a certain way."""


class Described:
    """What an owner writes on a record to find it again; workers do not read it."""

    tags: Mapped[list[str]] = mapped_column(Document, default=list)
    notes: Mapped[dict[str, str]] = mapped_column(Document, default=dict)


def _tag_index() -> Index:
    """On PostgreSQL for ``tags @> ...``; SQLite looks through the records that have any."""
    return Index(
        None,
        "tags",
        postgresql_using="gin",
        postgresql_ops={"tags": "jsonb_path_ops"},
        sqlite_where=text("tags != '[]'"),
    )


class EventRecord(Record):
    """Something that happened to a piece of work; the work counts them in ``last_event``, in the same transaction.

    The first one, that it was queued, has no row: the work's own says it.
    """

    __tablename__ = "events"

    work_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=now_plus(), index=True)
    attempt: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    body: Mapped[dict[str, Any]] = mapped_column(Document)


class DatasetRecord(Described, WorkRecord):
    """A registered dataset; its work is to be inspected."""

    __tablename__ = "datasets"

    @classmethod
    def _more_table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("owner", "name"), _tag_index())

    name: Mapped[str] = mapped_column(Name)
    upload_id: Mapped[UUID | None] = mapped_column(ForeignKey("uploads.id"), index=True)
    digest: Mapped[str | None] = mapped_column(String(64))
    # Loaded when it is asked for: most who read a dataset read it because work needs it.
    artifacts: Mapped[list["DatasetArtifactRecord"]] = relationship(order_by="DatasetArtifactRecord.name")

    @property
    def labelled(self) -> bool:
        """Whether its images have classes; what was registered before one could say so, has."""
        return bool(self.request.get("labelled", True))


class DistanceRecord(WorkRecord):
    """The distance between a source and a target, or all distances between several datasets."""

    __tablename__ = "distances"

    kind: Mapped[str] = mapped_column(String(16))
    members: Mapped[list["DistanceDatasetRecord"]] = relationship(
        order_by="DistanceDatasetRecord.position", lazy="selectin"
    )
    artifacts: Mapped[list["DistanceArtifactRecord"]] = relationship(
        order_by="DistanceArtifactRecord.name", lazy="selectin"
    )

    @property
    def datasets(self) -> list[DatasetRecord]:
        """What is measured, in the order of the request; a pair is its source and its target."""
        return [member.dataset for member in self.members]


class DistanceDatasetRecord(Record):
    """A dataset's place in a distance; the same dataset may be both source and target."""

    __tablename__ = "distance_datasets"

    distance_id: Mapped[UUID] = mapped_column(ForeignKey("distances.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"), index=True)
    dataset: Mapped[DatasetRecord] = relationship(lazy="joined", innerjoin=True)


class SelectionRecord(WorkRecord):
    """A choice of samples, to be labelled or to be trained on."""

    __tablename__ = "selections"

    target_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"), index=True)
    source_id: Mapped[UUID | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    target: Mapped[DatasetRecord] = relationship(foreign_keys=target_id, lazy="joined", innerjoin=True)
    source: Mapped[DatasetRecord | None] = relationship(foreign_keys=source_id, lazy="joined")
    artifacts: Mapped[list["SelectionArtifactRecord"]] = relationship(
        order_by="SelectionArtifactRecord.name", lazy="selectin"
    )


class JobRecord(Described, WorkRecord):
    """A targeted-transfer job."""

    __tablename__ = "jobs"

    @classmethod
    def _more_table_args(cls) -> tuple[Any, ...]:
        return (
            Index(None, "owner", "strategy", "created_at", "id"),
            Index(None, "owner", "target_id", "created_at", "id"),
            Index(None, "owner", "name"),
            _tag_index(),
        )

    name: Mapped[str | None] = mapped_column(Name)
    strategy: Mapped[str] = mapped_column(String(32))
    alpha: Mapped[float | None]
    target_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"), index=True)
    source_id: Mapped[UUID | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    target: Mapped[DatasetRecord] = relationship(foreign_keys=target_id, lazy="joined", innerjoin=True)
    source: Mapped[DatasetRecord | None] = relationship(foreign_keys=source_id, lazy="joined")
    manifest: Mapped["JobManifestRecord | None"] = relationship(lazy="joined")
    artifacts: Mapped[list["JobArtifactRecord"]] = relationship(order_by="JobArtifactRecord.name", lazy="selectin")


class JobManifestRecord(Record):
    """What a job trains on that chooses nothing itself: a selection's samples.

    Their labels are those that came with the job, or else the dataset's own.
    """

    __tablename__ = "job_manifests"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    selection_id: Mapped[UUID] = mapped_column(ForeignKey("selections.id"), index=True)
    test_id: Mapped[UUID | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    labels: Mapped[dict[str, str] | None] = mapped_column(Document)
    selection: Mapped[SelectionRecord] = relationship(lazy="joined", innerjoin=True)
    test: Mapped[DatasetRecord | None] = relationship(lazy="joined")


class ArtifactRecord(Record):
    """A file that work made; its bytes lie in the blob store under ``key``."""

    __abstract__ = True

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    key: Mapped[str] = mapped_column(String(300))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    media_type: Mapped[str] = mapped_column(String(100))


class DatasetArtifactRecord(ArtifactRecord):
    """A file that the inspection of a dataset made."""

    __tablename__ = "dataset_artifacts"

    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"), primary_key=True)


class JobArtifactRecord(ArtifactRecord):
    """A file that a job made."""

    __tablename__ = "artifacts"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)


class DistanceArtifactRecord(ArtifactRecord):
    """A file that a distance made."""

    __tablename__ = "distance_artifacts"

    distance_id: Mapped[UUID] = mapped_column(ForeignKey("distances.id"), primary_key=True)


class SelectionArtifactRecord(ArtifactRecord):
    """A file that a selection made."""

    __tablename__ = "selection_artifacts"

    selection_id: Mapped[UUID] = mapped_column(ForeignKey("selections.id"), primary_key=True)
