"""Rows as the service would have written them, without waiting for it to do so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Column, MetaData, Table, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from uuid6 import uuid7

from app.principals import LOCAL
from app.schemas.jobs import JobCreate
from app.states import WorkState
from app.store.records import DatasetRecord, JobRecord
from app.store.sessions import Database, Session

TARGET, SOURCE = "target", "source"
CLASSES = tuple(f"class {number}" for number in range(10))
TAGS = {"usual": 2, "some": 100, "rare": 10_000}
"""Every how manieth job has a tag."""
ABSENT_TAG = "absent"
JOB = JobCreate(target=TARGET, source=SOURCE)
N_WITH_EVENTS = 100_000
ROWS = Table("bare_rows", MetaData(), Column("id", Uuid, primary_key=True), Column("body", JSONB, nullable=False))
"""Where the bare route inserts."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The datasets of a job."""

    target: DatasetRecord
    source: DatasetRecord


def add_pair(session: Session) -> Pair:
    """What jobs learn and what they are measured from, as their inspection would have left them."""
    return Pair(_add_dataset(session, TARGET), _add_dataset(session, SOURCE))


def _add_dataset(session: Session, name: str) -> DatasetRecord:
    classes = [{"name": each, "pool": 300, "test": 200} for each in CLASSES]
    record = DatasetRecord(
        owner=LOCAL.owner,
        name=name,
        state=WorkState.SUCCEEDED,
        progress=1.0,
        attempt=1,
        digest="0" * 64,
        request={"format": "builtin", "dataset": "mnist-5k", "labelled": True},
        result={"classes": classes, "n_pool": 3000, "n_test": 2000},
    )
    session.add(record)
    session.flush()
    return record


def add_waiting(session: Session, pair: Pair, count: int = 1) -> list[UUID]:
    """Jobs that no worker has taken."""
    return [_add_job(session, pair, tags=list(TAGS)) for _ in range(count)]


def add_succeeded(session: Session, pair: Pair) -> UUID:
    """A job with everything that was measured."""
    return _add_job(session, pair, state=WorkState.SUCCEEDED, progress=1.0, attempt=1, result=_result())


def _add_job(session: Session, pair: Pair, **columns: Any) -> UUID:  # noqa: ANN401 - columns
    record = JobRecord(
        id=uuid7(),
        owner=LOCAL.owner,
        target=pair.target,
        source=pair.source,
        strategy=JOB.strategy,
        alpha=JOB.alpha,
        request=JOB.settings(),
        **columns,
    )
    session.add(record)
    session.flush()
    return record.id


def fill(database: Database, *, n_past: int, n_queued: int, tags: Mapping[str, int]) -> None:
    """Fill an empty database with jobs of one owner, all in SQL: the oldest have ended, the newest wait.

    Those that succeeded have results and a file, the latest of all that ended have events.

    Args:
        database: Migrated.
        n_past: Jobs that have ended, a third of them badly.
        n_queued: Jobs that wait.
        tags: Every how manieth job has each.
    """
    tagged = " || ".join(
        f"""CASE WHEN number % {every} = 0 THEN '["{tag}"]' ELSE '[]' END::jsonb""" for tag, every in tags.items()
    )
    with database.writing() as session:
        example = add_succeeded(session, add_pair(session))
        given = {"example": example, "n": n_past + n_queued, "n_past": n_past, "n_with_events": N_WITH_EVENTS}
        for statement in (_JOBS.replace("TAGS", tagged), _FILES, _EVENTS, "DELETE FROM jobs WHERE id = :example"):
            session.execute(text(statement), given)
        session.commit()
    with database.reading() as session:
        # What autovacuum does within a minute of such a change.
        session.execute(text("VACUUM ANALYZE"))


_JOBS = """
INSERT INTO jobs (
    id, owner, priority, state, progress, attempt, forgiven, cancel_requested, enqueued_at, created_at, started_at,
    finished_at, timings, request, result, last_event, tags, notes, strategy, alpha, target_id, source_id
)
SELECT
    uuidv7(made.age), owner, priority,
    CASE WHEN NOT past THEN 'queued' WHEN number % 3 = 0 THEN 'failed' ELSE 'succeeded' END,
    past::int, past::int, 0, false, now() + made.age, now() + made.age, CASE WHEN past THEN now() + made.age END,
    CASE WHEN past THEN now() + made.age END, CASE WHEN past THEN '{"training": 1.5}'::jsonb END, request,
    CASE WHEN past AND number % 3 > 0 THEN result END, 1 + 2 * past::int,
    TAGS, '{}'::jsonb, strategy, alpha, target_id, source_id
FROM (
    SELECT example.*, number, number <= :n_past AS past, make_interval(secs => number - :n) AS age
    FROM jobs AS example, generate_series(1, :n) AS number WHERE example.id = :example
) AS made
"""
_FILES = """
INSERT INTO artifacts (job_id, name, key, size, sha256, media_type)
SELECT id, 'checkpoint.safetensors', 'jobs/' || id, 19000000, repeat('0', 64), 'application/octet-stream'
FROM jobs WHERE state = 'succeeded' AND id <> :example
"""
_EVENTS = """
INSERT INTO events (work_id, number, at, attempt, kind, body)
SELECT id, number, finished_at, 1, 'state', '{"state": "running"}'::jsonb
FROM (
    SELECT id, finished_at FROM jobs WHERE finished_at IS NOT NULL ORDER BY created_at DESC LIMIT :n_with_events
) AS latest, generate_series(2, 3) AS number
"""


def _result() -> dict[str, Any]:
    spread = {"mean": 0.9, "std": 0.01, "interval": 0.02, "values": [0.89, 0.9, 0.91]}
    phases = [
        {
            "phase": phase,
            **dict.fromkeys(("accuracy", "macro_f1", "calibration_error", "log_loss", "brier_loss"), spread),
            "reliability": [{"count": 400, "confidence": 0.5, "accuracy": 0.5}] * 15,
            "per_class_recall": [0.9] * len(CLASSES),
            "confusion": [[200] * len(CLASSES)] * len(CLASSES),
        }
        for phase in ("zero_shot_conditional", "zero_shot_nearest", JOB.strategy.value)
    ]
    training = [
        {
            "seed": seed,
            "n_selected": 200,
            "n_epochs": 40,
            "best_epoch": 30,
            "train_loss": [0.123456] * 40,
            "validation_loss": [0.123456] * 40,
            "validation_accuracy": [0.987654] * 40,
            "temperature": 1.1,
        }
        for seed in JOB.seeds
    ]
    return {
        "classes": list(CLASSES),
        "phases": phases,
        "selection": {"size": 200, "shortfall": 0, "per_class": [20] * len(CLASSES), "n_unlabelled": 0},
        "training": training,
        "checkpoint": {"seed": 0, "accuracy": 0.9, "n_correct": 1800, "n_test": 2000, "temperature": 1.1},
        "class_distances": [],
        "n_pool": 3000,
        "n_test": 2000,
        "n_source": 0,
    }
