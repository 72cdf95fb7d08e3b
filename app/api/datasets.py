"""Datasets."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from app.api.dependencies import PollingDep, ReadingDep, SubmittingDep, WritingDep
from app.api.files import FILE_RESPONSES, ArtifactName, ConditionsDep, send_artifact
from app.api.idempotency import AskedDep
from app.api.paging import PAGE, send_page
from app.api.problems import problems
from app.api.replies import send, send_submission, submissions
from app.schemas.datasets import DatasetCreate, DatasetList, DatasetPatch, DatasetRead
from app.schemas.listing import DescribedListQuery
from app.schemas.work import DatasetName
from app.services.datasets import plan_dataset, read_dataset
from app.services.describing import change_description
from app.services.reading import artifact_of
from app.store.records import DatasetRecord

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, response_model=DatasetRead, responses=submissions(DatasetRead))
def create_dataset(request: DatasetCreate, context: SubmittingDep, asked: AskedDep) -> Response:
    """Register a dataset; a worker then counts and fingerprints it."""
    plan = partial(plan_dataset, context, request)
    return send_submission(context, request, asked, DatasetRecord, DatasetRead, plan)


@router.get("", response_model=DatasetList, responses=PAGE)
def list_datasets(http: Request, context: PollingDep, query: Annotated[DescribedListQuery, Query()]) -> Response:
    """List datasets."""
    return send_page(http, context, DatasetRecord, query, DatasetList)


@router.get("/{name_or_id}", response_model=DatasetRead, responses=problems(404))
def get_dataset(name_or_id: DatasetName, context: ReadingDep) -> Response:
    """Show a dataset: its classes, counts, splits and digest."""
    return send(DatasetRead, read_dataset(context, name_or_id))


@router.patch("/{name_or_id}", response_model=DatasetRead, responses=problems(404, 422))
def describe_dataset(name_or_id: DatasetName, patch: DatasetPatch, context: WritingDep) -> Response:
    """Change a dataset's tags or metadata."""
    found = read_dataset(context, name_or_id)
    return send(DatasetRead, change_description(context, DatasetRecord, found.id, patch))


@router.head("/{name_or_id}/artifacts/{name}", include_in_schema=False)
@router.get("/{name_or_id}/artifacts/{name}", response_class=Response, responses=FILE_RESPONSES)
def get_dataset_artifact(
    name_or_id: DatasetName, name: ArtifactName, context: ReadingDep, asked: ConditionsDep
) -> Response:
    """Download a file that the inspection made: some of the images as thumbnails, or what these show."""
    return send_artifact(artifact_of(read_dataset(context, name_or_id), name), context.blobs, asked)
