"""Bodies of replies, built once.

A route that returns a ``Response`` has said all: FastAPI would validate what it is given a second time.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from fastapi import Response, status

from app.api.idempotency import REPLAYED_HEADER, mark_replayed
from app.api.problems import problems
from app.schemas.work import Preview, Reply, Submission, WorkRead
from app.services.context import Context
from app.services.idempotency import Asked
from app.services.reading import show_work
from app.services.submission import Answer, AnyWork, Plan, preview, submit
from app.store.records import WorkRecord

_LOCATION: Final = {"Location": {"description": "Where to watch the work.", "schema": {"type": "string"}}}


def submissions(reply: type[WorkRead]) -> dict[int | str, dict[str, Any]]:
    """What a route may answer with that asks for work, for its ``responses``."""
    return {
        200: {
            "model": reply | Preview,
            "description": "Nothing was enqueued: this is work that did the same before (`reuse`), or what the request "
            "would have done (`validate_only`).",
            "headers": _LOCATION,
        },
        202: {"description": "Work that waits for a worker.", "headers": _LOCATION | REPLAYED_HEADER},
        **problems(409, 422, 429, 503),
    }


def send(
    reply: type[Reply], shown: object, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A body, from a record or from what is shown of one."""
    body = reply.model_validate(shown).model_dump_json()
    return Response(body, status_code, headers, media_type="application/json")


def send_work(context: Context, kind: type[WorkRecord], work_id: UUID, reply: type[WorkRead]) -> Response:
    """One piece of work, as it stands; the session of the context is closed."""
    with context.session:
        shown = show_work(context, kind, work_id)
    return send(reply, shown)


def send_submission(
    context: Context,
    request: Submission,
    asked: Asked | None,
    kind: type[AnyWork],
    reply: type[WorkRead],
    plan: Callable[[], Plan[AnyWork]],
) -> Response:
    """The work that was asked for, and where to watch it, or what it would be; the session of the context is closed."""
    with context.session:
        if request.validate_only:
            return send(Preview, preview(context, request, plan()))
        submitted = submit(context, request, asked, plan, kind)
    reused = submitted.answer is Answer.REUSED
    response = send(
        reply,
        submitted.work,
        status_code=status.HTTP_200_OK if reused else status.HTTP_202_ACCEPTED,
        headers={"Location": f"/{kind.__tablename__}/{submitted.id}"},
    )
    if submitted.answer is Answer.REPLAYED:
        mark_replayed(response)
    return response
