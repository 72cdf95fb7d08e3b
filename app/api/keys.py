"""API keys, each of them its owner's."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response, status

from app.api.dependencies import ReadingDep, WritingDep
from app.api.idempotency import REPLAYED_HEADER, AskedDep, mark_replayed
from app.api.problems import problems
from app.schemas.keys import KeyCreate, KeyIssued, KeyList, KeyRead, KeyRotate
from app.services.keys import Issued, create_key, end_once, issue_once, read_key, rotate_key
from app.store import keys as stored_keys
from app.store.records import KeyRecord

router = APIRouter(prefix="/keys", tags=["keys"])
_LOCATION = {"Location": {"description": "Of the key.", "schema": {"type": "string"}}}
_ISSUED: dict[int | str, dict[str, Any]] = {201: {"headers": _LOCATION | REPLAYED_HEADER}}
CursorQuery = Annotated[UUID | None, Query(description="`next` of the page before.")]
LimitQuery = Annotated[int, Query(ge=1, le=200, description="How many at the most.")]


@router.post("", name="create_key", status_code=status.HTTP_201_CREATED, responses=_ISSUED | problems(422))
def post_key(request: KeyCreate, context: WritingDep, asked: AskedDep, response: Response) -> KeyIssued:
    """Make a key; its secret is shown this once."""

    def make() -> Issued:
        return create_key(
            context.session, context.owner, name=request.name, scopes=request.scopes, expires_in=request.expires_in
        )

    return _show(issue_once(context, asked, make), response)


@router.get("")
def list_keys(context: ReadingDep, cursor: CursorQuery = None, limit: LimitQuery = 50) -> KeyList:
    """List keys, newest first, those that have ended among them."""
    found = stored_keys.list_keys(context.session, context.owner, before=cursor, limit=limit + 1)
    items = [KeyRead.model_validate(record) for record in found[:limit]]
    return KeyList(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/{key_id}", response_model=KeyRead, responses=problems(404))
def get_key(key_id: UUID, context: ReadingDep) -> KeyRecord:
    """Show a key: what it allows, and when it was last used."""
    return read_key(context.session, context.owner, key_id)


@router.post(
    "/{key_id}/rotate",
    name="rotate_key",
    status_code=status.HTTP_201_CREATED,
    responses=_ISSUED | problems(404, 409, 422),
)
def post_rotation(
    key_id: UUID, request: KeyRotate, context: WritingDep, asked: AskedDep, response: Response
) -> KeyIssued:
    """Replace a key by a new one that allows the same until the same moment; the old one may go on for a while."""

    def make() -> Issued:
        return rotate_key(context.session, context.owner, key_id, grace_seconds=request.grace_seconds)

    return _show(issue_once(context, asked, make), response)


@router.post(
    "/{key_id}/revoke",
    name="revoke_key",
    response_model=KeyRead,
    responses={200: {"headers": REPLAYED_HEADER}, **problems(404, 409, 422)},
)
def post_revocation(key_id: UUID, context: WritingDep, asked: AskedDep, response: Response) -> KeyRecord:
    """End a key for good; every process knows within five seconds. To end it again changes nothing."""
    done = end_once(context, asked, key_id)
    if done.fresh is None:
        mark_replayed(response)
    return done.fresh or read_key(context.session, context.owner, key_id)


def _show(issued: Issued, response: Response) -> KeyIssued:
    response.headers["Location"] = f"/keys/{issued.id}"
    response.headers["Cache-Control"] = "no-store"
    if issued.secret is None:
        mark_replayed(response)
    return KeyIssued(**KeyRead.model_validate(issued.record).model_dump(), secret=issued.secret)
