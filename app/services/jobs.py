"""Targeted-transfer jobs."""

from uuid import UUID

from app.errors import InvalidRequestError, NotCancellableError
from app.queue import JobQueue
from app.schemas.jobs import JobCreate
from app.services.datasets import require_dataset, require_measurable, summary_of
from app.services.dispatch import commit_and_enqueue
from app.services.reading import read_work
from app.settings import Settings
from app.states import WorkState
from app.store import work
from app.store.jobs import add_job
from app.store.records import DatasetRecord, JobRecord
from app.store.sessions import Session


def submit_job(session: Session, queue: JobQueue, settings: Settings, request: JobCreate) -> JobRecord:
    """Store a job, commit, and only then enqueue its id.

    Raises:
        InvalidRequestError: If the job could not succeed on these datasets.
        NotReadyError: If a dataset is not inspected yet.
    """
    target = require_dataset(session, request.target, field="target")
    require_measurable(target, field="target", size=request.pool_size, size_field="pool_size")
    if summary_of(target)["n_test"] == 0:
        raise InvalidRequestError.of_field(
            "target", f"{target.name!r} has no test split: register it again with a test_fraction above 0"
        )
    source = _find_source(session, request, settings)
    if source is not None:
        require_measurable(source, field="source", size=request.source_size, size_field="source_size")
    body = request.model_dump(mode="json") | {"target": target.name, "source": source.name if source else None}
    record = add_job(session, target=target, source=source, request=body)
    commit_and_enqueue(session, queue, record)
    return record


def _find_source(session: Session, request: JobCreate, settings: Settings) -> DatasetRecord | None:
    named = request.source or settings.default_source
    if named is not None and (request.source is not None or request.strategy.needs_scores):
        return require_dataset(session, named, field="source")
    if request.strategy.needs_scores:
        raise InvalidRequestError.of_field(
            "source",
            f"the strategy {request.strategy.value!r} measures from a source and this service has no default: name one",
        )
    return None


def cancel_job(session: Session, job_id: UUID) -> JobRecord:
    """End a queued job at once, or ask a running one to stop.

    Raises:
        NotFoundError: If there is no such job.
        NotCancellableError: If it has already ended.
    """
    record = read_work(session, JobRecord, job_id)
    if not work.cancel(session, JobRecord, job_id):
        session.refresh(record)
        raise NotCancellableError(f"The job has already {WorkState(record.state).value}: there is nothing to cancel.")
    session.commit()
    session.refresh(record)
    return record
