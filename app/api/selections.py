"""Selections: which samples are worth a label."""

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
from app.schemas.listing import SelectionListQuery
from app.schemas.selections import SelectionCreate, SelectionList, SelectionRead
from app.services.reading import read_artifact
from app.services.selections import plan_selection
from app.store.records import SelectionRecord

router = APIRouter(prefix="/selections", tags=["selections"])


@router.post(
    "", status_code=status.HTTP_202_ACCEPTED, response_model=SelectionRead, responses=submissions(SelectionRead)
)
def create_selection(request: SelectionCreate, context: SubmittingDep, asked: AskedDep) -> Response:
    """Choose the samples of a pool that are worth a label; the pool needs none."""
    plan = partial(plan_selection, context, request)
    return send_submission(context, request, asked, SelectionRecord, SelectionRead, plan)


@router.get("", response_model=SelectionList, responses=PAGE)
def list_selections(http: Request, context: PollingDep, query: Annotated[SelectionListQuery, Query()]) -> Response:
    """List selections without their results."""
    return send_page(http, context, SelectionRecord, query, SelectionList)


@router.get("/{selection_id}", response_model=SelectionRead, responses=problems(404))
def get_selection(selection_id: UUID, context: PollingDep) -> Response:
    """Show a selection and, once it has succeeded, how much it chose of what."""
    return send_work(context, SelectionRecord, selection_id, SelectionRead)


@router.head("/{selection_id}/artifacts/{name}", include_in_schema=False)
@router.get("/{selection_id}/artifacts/{name}", response_class=Response, responses=FILE_RESPONSES)
def get_selection_artifact(
    selection_id: UUID, name: ArtifactName, context: ReadingDep, asked: ConditionsDep
) -> Response:
    """Download the manifest, for programs or as a table to fill labels into."""
    return send_artifact(read_artifact(context, SelectionRecord, selection_id, name), context.blobs, asked)
