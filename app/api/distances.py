"""Distances between datasets."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from app.api.dependencies import PollingDep, ReadingDep, SubmittingDep
from app.api.files import FILE_RESPONSES, ArtifactName, ConditionsDep, send_artifact
from app.api.idempotency import AskedDep
from app.api.paging import PAGE, send_page
from app.api.problems import problems
from app.api.replies import send_submission, send_work, submissions
from app.schemas.distances import DistanceCreate, DistanceList, DistanceRead
from app.schemas.listing import DistanceListQuery
from app.services.distances import plan_distance
from app.services.reading import read_artifact
from app.store.records import DistanceRecord

router = APIRouter(prefix="/distances", tags=["distances"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, response_model=DistanceRead, responses=submissions(DistanceRead))
def create_distance(request: DistanceCreate, context: SubmittingDep, asked: AskedDep) -> Response:
    """Measure how far a target lies from a source, class by class and as a whole; or all distances of a list."""
    plan = partial(plan_distance, context, request)
    return send_submission(context, request, asked, DistanceRecord, DistanceRead, plan)


@router.get("", response_model=DistanceList, responses=PAGE)
def list_distances(http: Request, context: PollingDep, query: Annotated[DistanceListQuery, Query()]) -> Response:
    """List distances without their matrices."""
    return send_page(http, context, DistanceRecord, query, DistanceList)


@router.get("/{distance_id}", response_model=DistanceRead, responses=problems(404))
def get_distance(distance_id: UUID, context: PollingDep) -> Response:
    """Show a distance and how far its measurement is."""
    return send_work(context, DistanceRecord, distance_id, DistanceRead)


@router.head("/{distance_id}/artifacts/{name}", include_in_schema=False)
@router.get("/{distance_id}/artifacts/{name}", response_class=Response, responses=FILE_RESPONSES)
def get_distance_artifact(distance_id: UUID, name: ArtifactName, context: ReadingDep, asked: ConditionsDep) -> Response:
    """Download a matrix as a table, or as a heatmap with its dendrogram."""
    return send_artifact(read_artifact(context, DistanceRecord, distance_id, name), context.blobs, asked)
