"""Distances between datasets."""

from uuid import UUID

from fastapi import APIRouter, Response, status

from app.api.dependencies import BeforeQuery, LimitQuery, ReadingDep, WritingDep
from app.api.files import FILE_RESPONSES, ArtifactName, ConditionsDep, send_artifact
from app.api.problems import ACCEPTED, problems
from app.schemas.distances import DistanceCreate, DistanceList, DistanceRead
from app.services.distances import submit_distance
from app.services.reading import Page, read_artifact, read_page, read_work
from app.store.records import DistanceRecord

router = APIRouter(prefix="/distances", tags=["distances"])


@router.post(
    "", status_code=status.HTTP_202_ACCEPTED, response_model=DistanceRead, responses=ACCEPTED | problems(409, 422)
)
def create_distance(request: DistanceCreate, context: WritingDep, response: Response) -> DistanceRecord:
    """Measure how far a target lies from a source, class by class and as a whole; or all distances of a list."""
    record = submit_distance(context, request)
    response.headers["Location"] = f"/distances/{record.id}"
    return record


@router.get("", response_model=DistanceList)
def list_distances(context: ReadingDep, before: BeforeQuery = None, limit: LimitQuery = 50) -> Page[DistanceRecord]:
    """List distances, newest first, without their matrices."""
    return read_page(context, DistanceRecord, before=before, limit=limit)


@router.get("/{distance_id}", response_model=DistanceRead, responses=problems(404))
def get_distance(distance_id: UUID, context: ReadingDep) -> DistanceRecord:
    """Show a distance and how far its measurement is."""
    return read_work(context, DistanceRecord, distance_id)


@router.head("/{distance_id}/artifacts/{name}", include_in_schema=False)
@router.get(
    "/{distance_id}/artifacts/{name}", response_class=Response, responses=FILE_RESPONSES | problems(404, 409, 416)
)
def get_artifact(distance_id: UUID, name: ArtifactName, context: ReadingDep, asked: ConditionsDep) -> Response:
    """Download a matrix as a table, or as a heatmap with its dendrogram."""
    return send_artifact(read_artifact(context, DistanceRecord, distance_id, name), context.blobs, asked)
