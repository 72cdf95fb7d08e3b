"""Targeted-transfer jobs."""

from uuid import UUID

from app.errors import InvalidRequestError, NotCancellableError
from app.schemas.jobs import JobCreate
from app.services.context import Context
from app.services.datasets import require_dataset, require_measurable, require_weights, summary_of
from app.services.dispatch import commit_and_enqueue
from app.services.manifests import add_manifest_job, refuse_manifest_fields
from app.services.reading import read_work
from app.services.selections import find_source
from app.states import WorkState
from app.store import work
from app.store.jobs import add_job
from app.store.records import DatasetRecord, JobRecord


def submit_job(context: Context, request: JobCreate) -> JobRecord:
    """Store a job, commit, and only then enqueue its id.

    Raises:
        InvalidRequestError: If the job could not succeed on these datasets, or its weights are not there.
        NotReadyError: If a dataset is not inspected yet, or the selection has not succeeded.
        UnavailableError: If the selection's manifest cannot be read.
    """
    require_weights(context, request)
    target = require_dataset(context, request.target, field="target")
    if request.selection is None:
        refuse_manifest_fields(request)
        record = _add_selecting_job(context, request, target)
    else:
        record = add_manifest_job(context, request, selection_id=request.selection, target=target)
    commit_and_enqueue(context, record)
    return record


def _add_selecting_job(context: Context, request: JobCreate, target: DatasetRecord) -> JobRecord:
    require_measurable(target, field="target", size=request.pool_size, size_field="pool_size")
    if summary_of(target)["n_test"] == 0:
        raise InvalidRequestError.of_field(
            "target", f"{target.name!r} has no test split: register it again with a test_fraction above 0"
        )
    source = find_source(context, request)
    body = request.model_dump(mode="json", exclude={"labels", "labels_csv"})
    body |= {"target": target.name, "source": source.name if source else None}
    return add_job(context.session, context.origin, target=target, source=source, request=body)


def cancel_job(context: Context, job_id: UUID) -> JobRecord:
    """End a queued job at once, or ask a running one to stop.

    Raises:
        NotFoundError: If there is no such job.
        NotCancellableError: If it has already ended.
    """
    record = read_work(context, JobRecord, job_id)
    if not work.cancel(context.session, JobRecord, job_id):
        context.session.refresh(record)
        raise NotCancellableError(f"The job has already {WorkState(record.state).value}: there is nothing to cancel.")
    context.session.commit()
    context.session.refresh(record)
    return record
