"""Targeted-transfer jobs."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from app.api.dependencies import PollingDep, ReadingDep, SubmittingDep, WritingDep
from app.api.files import FILE_RESPONSES, ArtifactName, ConditionsDep, send_artifact
from app.api.idempotency import AskedDep
from app.api.paging import PAGE, send_page
from app.api.problems import problems
from app.api.replies import send, send_submission, send_work, submissions
from app.schemas.jobs import JobCreate, JobList, JobPatch, JobRead
from app.schemas.listing import JobListQuery
from app.services.describing import change_description
from app.services.jobs import plan_job
from app.services.reading import read_artifact
from app.store.records import JobRecord

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, response_model=JobRead, responses=submissions(JobRead))
def create_job(request: JobCreate, context: SubmittingDep, asked: AskedDep) -> Response:
    """Accept a job and say where to watch it."""
    return send_submission(context, request, asked, JobRecord, JobRead, partial(plan_job, context, request))


@router.get("", response_model=JobList, responses=PAGE)
def list_jobs(http: Request, context: PollingDep, query: Annotated[JobListQuery, Query()]) -> Response:
    """List jobs without their results."""
    return send_page(http, context, JobRecord, query, JobList)


@router.get("/{job_id}", response_model=JobRead, responses=problems(404))
def get_job(job_id: UUID, context: PollingDep) -> Response:
    """Show a job: state, phase, progress, timings and, once it has succeeded, its results."""
    return send_work(context, JobRecord, job_id, JobRead)


@router.patch("/{job_id}", response_model=JobRead, responses=problems(404, 422))
def describe_job(job_id: UUID, patch: JobPatch, context: WritingDep) -> Response:
    """Change a job's name, tags or metadata."""
    return send(JobRead, change_description(context, JobRecord, job_id, patch))


@router.head("/{job_id}/checkpoint", include_in_schema=False)
@router.get("/{job_id}/checkpoint", response_class=Response, responses=FILE_RESPONSES)
def get_job_checkpoint(job_id: UUID, context: ReadingDep, asked: ConditionsDep) -> Response:
    """Download the fine-tuned network as safetensors; its ETag is its sha256, and ranges resume a download."""
    return send_artifact(read_artifact(context, JobRecord, job_id, "checkpoint.safetensors"), context.blobs, asked)


@router.head("/{job_id}/artifacts/{name}", include_in_schema=False)
@router.get("/{job_id}/artifacts/{name}", response_class=Response, responses=FILE_RESPONSES)
def get_job_artifact(job_id: UUID, name: ArtifactName, context: ReadingDep, asked: ConditionsDep) -> Response:
    """Download a file that the job made: checkpoint, selected samples, predictions, report, model card or an export."""
    return send_artifact(read_artifact(context, JobRecord, job_id, name), context.blobs, asked)
