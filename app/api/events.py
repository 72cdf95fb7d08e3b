"""Watching work: events as they come, what was measured, the log, the files."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.api.dependencies import ReadingDep
from app.api.nouns import DATASETS, DISTANCES, JOBS, SELECTIONS, Noun, Reference
from app.api.problems import TEXT, problems, reference
from app.schemas.events import ArtifactLink, ArtifactList, EventRead, LineRead, MetricsRead
from app.services.events import Watcher, is_told, read_lines, read_metrics
from app.store.events import Event
from app.store.records import DatasetRecord, DistanceRecord, JobRecord, SelectionRecord

RETRY_MILLISECONDS: Final = 2000
PING_SECONDS: Final = 15
_LAST: Final = 2**31 - 1
_MAKERS: Final = (DatasetRecord, DistanceRecord, JobRecord, SelectionRecord)
# As OpenAPI 3.2 describes a stream of events: the schema is that of each.
_MESSAGE = {
    "type": "object",
    "required": ["data", "event", "id"],
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": reference(EventRead)},
    },
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events. `data` is an `EventRead`, `id` is its `number`, `event` is its `kind`.",
        "content": {"text/event-stream": {"schema": _MESSAGE}},
    },
    204: {"description": "The work has ended and the client has had everything: do not come back."},
}
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The lines, as text or, if asked for, as one JSON object each.",
        "content": {
            "text/plain": TEXT,
            "application/x-ndjson": {"schema": reference(LineRead)},
        },
    }
}

router = APIRouter()


def _add_events(noun: Noun) -> None:
    @router.get(
        f"{noun.path}/events",
        response_class=Response,
        tags=[noun.plural],
        responses=_STREAM | problems(404, 422),
        name=f"follow_{noun.singular}",
    )
    def follow(
        reference: Annotated[Reference, Depends(noun.refer)],
        context: ReadingDep,
        request: Request,
        after: Annotated[int, Query(ge=0, le=_LAST, description="Only events after this number.")] = 0,
        last_event_id: Annotated[
            int | None,
            Header(alias="Last-Event-ID", ge=0, le=_LAST, description="The same, as browsers say it; it goes first."),
        ] = None,
    ) -> Response:
        """Follow it: state, phase, progress, epochs and log lines as server-sent events, until it has ended."""
        record = reference.find(context)
        start = after if last_event_id is None else last_event_id
        if is_told(record, start):
            return Response(status_code=204)
        watcher: Watcher = request.app.state.watcher
        return EventSourceResponse(
            _stream(watcher.follow(type(record), record.id, after=start)),
            ping=PING_SECONDS,
            ping_message_factory=lambda: ServerSentEvent(comment="still here"),
        )


async def _stream(events: AsyncIterator[Event]) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(retry=RETRY_MILLISECONDS)
    async with aclosing(events):  # type: ignore[type-var]
        async for event in events:
            data = {
                "number": event.number,
                "at": event.at.isoformat(),
                "attempt": event.attempt,
                "kind": event.kind,
                "body": event.body,
            }
            text = json.dumps(data, separators=(",", ":"), allow_nan=False)
            yield ServerSentEvent(text, id=str(event.number), event=event.kind)


def _add_logs(noun: Noun) -> None:
    @router.get(
        f"{noun.path}/logs",
        response_class=Response,
        tags=[noun.plural],
        responses=_LINES | problems(404, 422),
        name=f"read_{noun.singular}_logs",
    )
    def read_logs(
        reference: Annotated[Reference, Depends(noun.refer)],
        context: ReadingDep,
        since: Annotated[int, Query(ge=0, le=_LAST, description="Only lines after this number.")] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000, description="How many at the most.")] = 1000,
        accept: Annotated[str, Header(description="`application/x-ndjson` for JSON.")] = "*/*",
    ) -> Response:
        """Read what was logged while it ran: by the core, by the worker, and the warnings of libraries."""
        lines = read_lines(context, reference.find(context), since=since, limit=limit)
        if "application/x-ndjson" in accept:
            text, media_type = "".join(line.model_dump_json() + "\n" for line in lines), "application/x-ndjson"
        else:
            text, media_type = "".join(map(_line, lines)), "text/plain"
        return Response(text, media_type=media_type, headers={"Vary": "Accept"})


def _line(line: LineRead) -> str:
    return f"{line.at.isoformat(timespec='milliseconds')} {line.level} {line.logger}: {line.message}\n"


def _add_artifacts(noun: Noun) -> None:
    @router.get(
        f"{noun.path}/artifacts", tags=[noun.plural], responses=problems(404), name=f"list_{noun.singular}_artifacts"
    )
    def list_artifacts(reference: Annotated[Reference, Depends(noun.refer)], context: ReadingDep) -> ArtifactList:
        """List its files with size, sha256, media type and address; there are none before it has succeeded."""
        record = reference.find(context)
        files = record.artifacts if isinstance(record, _MAKERS) else ()
        base = f"/{noun.plural}/{record.id}/artifacts"
        return ArtifactList(
            items=[
                ArtifactLink(
                    name=file.name,
                    size=file.size,
                    sha256=file.sha256,
                    media_type=file.media_type,
                    url=f"{base}/{file.name}",
                )
                for file in files
            ]
        )


@router.get(f"{JOBS.path}/metrics", tags=[JOBS.plural], responses=problems(404))
def get_job_metrics(reference: Annotated[Reference, Depends(JOBS.refer)], context: ReadingDep) -> MetricsRead:
    """Show what the latest attempt has measured so far: every epoch of every training, and seconds by phase."""
    return read_metrics(context, reference.find(context))


for _noun in (JOBS, DISTANCES, SELECTIONS, DATASETS):
    _add_events(_noun)
    _add_logs(_noun)
    _add_artifacts(_noun)
