"""Datasets."""

from fastapi import APIRouter, Response, status

from app.api.dependencies import BeforeQuery, LimitQuery, ReadingDep, WritingDep
from app.api.problems import ACCEPTED, problems
from app.schemas.datasets import DatasetCreate, DatasetList, DatasetRead
from app.schemas.work import DatasetName
from app.services.datasets import read_dataset, register_dataset
from app.services.reading import Page, read_page
from app.store.records import DatasetRecord

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.post(
    "", status_code=status.HTTP_202_ACCEPTED, response_model=DatasetRead, responses=ACCEPTED | problems(409, 422)
)
def create_dataset(request: DatasetCreate, context: WritingDep, response: Response) -> DatasetRecord:
    """Register a dataset; a worker then counts and fingerprints it."""
    record = register_dataset(context, request)
    response.headers["Location"] = f"/datasets/{record.id}"
    return record


@router.get("", response_model=DatasetList)
def list_datasets(context: ReadingDep, before: BeforeQuery = None, limit: LimitQuery = 50) -> Page[DatasetRecord]:
    """List datasets, newest first."""
    return read_page(context, DatasetRecord, before=before, limit=limit)


@router.get("/{name_or_id}", response_model=DatasetRead, responses=problems(404))
def get_dataset(name_or_id: DatasetName, context: ReadingDep) -> DatasetRecord:
    """Show a dataset: its classes, counts, splits and digest."""
    return read_dataset(context, name_or_id)
