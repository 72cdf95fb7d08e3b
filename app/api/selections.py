"""Selections: which samples are worth a label."""

from uuid import UUID

from fastapi import APIRouter, Response, status

from app.api.dependencies import BeforeQuery, LimitQuery, ReadingDep, WritingDep
from app.api.files import FILE_RESPONSES, ArtifactName, ConditionsDep, send_artifact
from app.api.problems import ACCEPTED, problems
from app.schemas.selections import SelectionCreate, SelectionList, SelectionRead
from app.services.reading import Page, read_artifact, read_page, read_work
from app.services.selections import submit_selection
from app.store.records import SelectionRecord

router = APIRouter(prefix="/selections", tags=["selections"])


@router.post(
    "", status_code=status.HTTP_202_ACCEPTED, response_model=SelectionRead, responses=ACCEPTED | problems(409, 422)
)
def create_selection(request: SelectionCreate, context: WritingDep, response: Response) -> SelectionRecord:
    """Choose the samples of a pool that are worth a label; the pool needs none."""
    record = submit_selection(context, request)
    response.headers["Location"] = f"/selections/{record.id}"
    return record


@router.get("", response_model=SelectionList)
def list_selections(context: ReadingDep, before: BeforeQuery = None, limit: LimitQuery = 50) -> Page[SelectionRecord]:
    """List selections, newest first, without their results."""
    return read_page(context, SelectionRecord, before=before, limit=limit)


@router.get("/{selection_id}", response_model=SelectionRead, responses=problems(404))
def get_selection(selection_id: UUID, context: ReadingDep) -> SelectionRecord:
    """Show a selection and, once it has succeeded, how much it chose of what."""
    return read_work(context, SelectionRecord, selection_id)


@router.head("/{selection_id}/artifacts/{name}", include_in_schema=False)
@router.get(
    "/{selection_id}/artifacts/{name}", response_class=Response, responses=FILE_RESPONSES | problems(404, 409, 416)
)
def get_artifact(selection_id: UUID, name: ArtifactName, context: ReadingDep, asked: ConditionsDep) -> Response:
    """Download the manifest, for programs or as a table to fill labels into."""
    return send_artifact(read_artifact(context, SelectionRecord, selection_id, name), context.blobs, asked)
