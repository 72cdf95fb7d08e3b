"""Targeted-transfer jobs."""

from uuid import UUID

from fastapi import APIRouter, Response, status

from app.api.dependencies import BeforeQuery, LimitQuery, ReadingDep, WritingDep
from app.api.files import FILE_RESPONSES, ArtifactName, ConditionsDep, send_artifact
from app.api.problems import ACCEPTED, problems
from app.schemas.jobs import JobCreate, JobList, JobRead
from app.services.jobs import cancel_job, submit_job
from app.services.reading import Page, read_artifact, read_page, read_work
from app.store.records import JobRecord

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, response_model=JobRead, responses=ACCEPTED | problems(409, 422))
def create_job(
    request: JobCreate,
    context: WritingDep,
    response: Response,
) -> JobRecord:
    """Accept a job and say where to watch it."""
    record = submit_job(context, request)
    response.headers["Location"] = f"/jobs/{record.id}"
    return record


@router.get("", response_model=JobList)
def list_jobs(context: ReadingDep, before: BeforeQuery = None, limit: LimitQuery = 50) -> Page[JobRecord]:
    """List jobs, newest first, without their results."""
    return read_page(context, JobRecord, before=before, limit=limit)


@router.get("/{job_id}", response_model=JobRead, responses=problems(404))
def get_job(job_id: UUID, context: ReadingDep) -> JobRecord:
    """Show a job: state, phase, progress, timings and, once it has succeeded, its results."""
    return read_work(context, JobRecord, job_id)


@router.post(
    "/{job_id}/cancel", status_code=status.HTTP_202_ACCEPTED, response_model=JobRead, responses=problems(404, 409)
)
def request_cancel(job_id: UUID, context: WritingDep) -> JobRecord:
    """Cancel a job: at once if it waits, within seconds if it runs."""
    return cancel_job(context, job_id)


@router.head("/{job_id}/checkpoint", include_in_schema=False)
@router.get("/{job_id}/checkpoint", response_class=Response, responses=FILE_RESPONSES | problems(404, 409, 416))
def get_checkpoint(job_id: UUID, context: ReadingDep, asked: ConditionsDep) -> Response:
    """Download the fine-tuned network as safetensors; its ETag is its sha256, and ranges resume a download."""
    return send_artifact(read_artifact(context, JobRecord, job_id, "checkpoint.safetensors"), context.blobs, asked)


@router.head("/{job_id}/artifacts/{name}", include_in_schema=False)
@router.get("/{job_id}/artifacts/{name}", response_class=Response, responses=FILE_RESPONSES | problems(404, 409, 416))
def get_artifact(job_id: UUID, name: ArtifactName, context: ReadingDep, asked: ConditionsDep) -> Response:
    """Download a file that the job made: checkpoint, selected samples, predictions, report, model card or an export."""
    return send_artifact(read_artifact(context, JobRecord, job_id, name), context.blobs, asked)
