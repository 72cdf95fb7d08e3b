"""The composition root: settings in, application out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_problem.handler import ExceptionHandler, add_exception_handler, new_exception_handler
from rfc9457 import Problem
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.api import (
    backbones,
    dashboard,
    datasets,
    deletion,
    distances,
    events,
    health,
    jobs,
    keys,
    metrics,
    selections,
    steering,
    uploads,
    webhooks,
)
from app.api.bodies import BodyLimits, BodyRefusedError
from app.api.document import finish_document, operation_id
from app.api.envelope import Envelope
from app.api.gate import Gate, door_of
from app.api.limits import open_rate_limits
from app.api.problems import methods_at
from app.errors import (
    BadRequestError,
    ConflictError,
    FieldError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    ServiceError,
    UnavailableError,
    UnsupportedMediaError,
)
from app.observing.tracing import trace_requests
from app.queue import BackgroundQueue, CeleryQueue, JobQueue, build_celery
from app.schemas.distances import NEITHER_PAIR_NOR_LIST, DistanceKind
from app.schemas.jobs import ALPHA_TAGS
from app.services.delivery import deliver_forever
from app.services.dispatch import sweep
from app.services.events import Watcher
from app.services.keyring import KeyRing, note_uses_forever
from app.services.keys import require_first_key
from app.services.upkeep import keep_up_forever
from app.settings import Settings, read_settings
from app.store.blobs import open_blobs
from app.store.sessions import DATABASE_DOWN, REFERENT_GONE, Database, open_database
from ot3l_core.names import DatasetFormat

log = logging.getLogger(__name__)

DESCRIPTION = """
Choose what to fine-tune on by optimal transport: register datasets, measure how far a target lies from a source,
select the samples that are worth a label, and run jobs that train the last two dense layers of an ImageNet network,
and layers below them where asked for, on the samples that a strategy selects.

Everything that computes answers 202 with a Location to poll. Errors are RFC 9457 problem details.
"""


def create_app(settings: Settings | None = None, *, queue: JobQueue | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: Default: those of the environment.
        queue: Default: the real one, over the broker of the settings.
    """
    settings = settings or read_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        require_first_key(settings)
        app.state.settings = settings
        app.state.database = open_database(settings.resolved_database_url)
        app.state.blobs = open_blobs(
            settings.resolved_blob_url, presign=settings.presign, public_endpoint=settings.public_blob_endpoint
        )
        messages = None if queue else BackgroundQueue(CeleryQueue(build_celery(settings)))
        app.state.queue = queue or messages
        app.state.watcher = Watcher(app.state.database)
        app.state.keys = KeyRing(app.state.database)
        app.state.rate_limits = open_rate_limits(settings)
        background = [
            asyncio.create_task(_sweep_forever(app.state.database, app.state.queue, settings)),
            asyncio.create_task(app.state.watcher.run()),
            asyncio.create_task(note_uses_forever(app.state.keys)),
            asyncio.create_task(keep_up_forever(app.state.database, app.state.blobs, settings)),
            asyncio.create_task(deliver_forever(app.state.database, private=settings.webhook_private_targets)),
        ]
        yield
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        if messages is not None:
            await asyncio.to_thread(messages.close)
        await app.state.keys.note_uses()
        if app.state.rate_limits is not None:
            await app.state.rate_limits.close()
        app.state.database.close()

    app = FastAPI(
        title="OT3L",
        version=version("ot3l"),
        description=DESCRIPTION,
        lifespan=lifespan,
        # Theirs load from another host; app/api/dashboard.py has ours.
        docs_url=None,
        redoc_url=None,
    )
    app.router.generate_unique_id_function = operation_id
    # Routes are tried one after the other: what is asked for most often comes first.
    work = (jobs, distances, selections, datasets, uploads, steering, deletion, events)
    for noun in (*work, webhooks, backbones, keys, health, metrics, dashboard):
        app.include_router(noun.router)
    handler = new_exception_handler(
        logger=log,
        handlers=dict.fromkeys(DATABASE_DOWN, _explain_database) | dict.fromkeys(REFERENT_GONE, _explain_gone),
        http_exception_handler=_explain_http,
        request_validation_handler=_explain_validation,
        unhandled_wrappers={"500": _UnexpectedError},
        post_hooks=[_name_request],
    )
    add_exception_handler(app, handler, generic_swagger_defaults=False)
    app.add_middleware(BodyLimits, most=settings.max_body_bytes)
    app.add_middleware(Gate, door=door_of(settings))
    app.openapi = partial(_document, app, app.openapi)  # type: ignore[method-assign]
    for error in (*DATABASE_DOWN, *REFERENT_GONE):
        app.add_exception_handler(error, handler)
    if settings.tracing:
        trace_requests(app)
    build_stack = app.build_middleware_stack
    # Around all of it, so that answers to errors that nobody foresaw are named and counted too.
    app.build_middleware_stack = lambda: Envelope(build_stack())  # type: ignore[method-assign]
    return app


async def _sweep_forever(database: Database, queue: JobQueue, settings: Settings) -> None:
    while True:
        await asyncio.sleep(settings.sweep_seconds)
        try:
            await asyncio.to_thread(sweep, database, queue, settings)
        except UnavailableError:
            log.warning("sweep: the broker does not answer")
        except Exception:
            log.exception("sweep failed; it runs again in %.0f s", settings.sweep_seconds)


class _UnexpectedError(ServiceError):
    """An error nobody foresaw: its text goes to the log, not to the client."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__("Something went wrong on our side; the log of the service has the details.")


def _name_request(
    content: dict[str, Any], request: Request, response: JSONResponse
) -> tuple[dict[str, Any], JSONResponse]:
    content["request_id"] = request.state.request_id
    response.body = response.render(content)
    return content, response


def _document(app: FastAPI, build: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The API's document, built once."""
    if app.openapi_schema is None:
        app.openapi_schema = build()
        finish_document(app.openapi_schema)
    return app.openapi_schema


def _explain_database(_handler: ExceptionHandler, _request: Request, error: Exception) -> UnavailableError:
    log.warning("database: %s", error)
    return UnavailableError("The database does not answer: try again in a while.")


def _explain_gone(_handler: ExceptionHandler, _request: Request, error: Exception) -> ConflictError:
    log.warning("database: %s", error)
    return ConflictError("Something that the request refers to was deleted at the same moment: look at it again.")


def _explain_http(_handler: ExceptionHandler, request: Request, error: Exception) -> Problem:
    if not isinstance(error, HTTPException):
        raise TypeError(f"expected an HTTP error, got {type(error)}")
    if isinstance(error, BodyRefusedError):
        return error.problem
    if isinstance(error.__cause__, RecursionError | ValueError):
        return InvalidRequestError("The body is not JSON that can be read: too deep, too long a number, or not UTF-8.")
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return BadRequestError(str(error.detail))
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFoundError("Nothing is at this address; /openapi.json lists every one that there is.")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(methods_at(request))
        return MethodNotAllowedError(f"This address takes {allowed}.", headers={"Allow": allowed})
    phrase = HTTPStatus(error.status_code).phrase
    return Problem(
        f"{phrase}.",
        type_=phrase.lower().replace(" ", "_").replace("-", "_"),
        detail=str(error.detail),
        status=error.status_code,
        headers=dict(error.headers or {}),
    )


def _explain_validation(_handler: ExceptionHandler, request: Request, error: Exception) -> ServiceError:
    if not isinstance(error, RequestValidationError):
        raise TypeError(f"expected a validation error, got {type(error)}")
    if isinstance(error.body, bytes):
        # FastAPI reads bodies that say that they are JSON, and hands over others as they came.
        kind = request.headers.get("content-type", "nothing")
        return UnsupportedMediaError(f"The body must be application/json; its Content-Type says {kind}.")
    fields = [_explain_field(found) for found in error.errors()]
    return InvalidRequestError("; ".join(f"{entry['field']}: {entry['message']}" for entry in fields), errors=fields)


def _explain_field(found: dict[str, Any]) -> FieldError:
    if found["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return {"field": "format", "message": f"must be one of {', '.join(DatasetFormat)}"}
    if found["type"] == NEITHER_PAIR_NOR_LIST:
        return {"field": "datasets", "message": str(found["msg"])}
    place = [str(part) for part in found["loc"]]
    if found["type"] == "json_invalid":
        place = place[:1]
    elif len(place) > 2 and place[1] in {*DatasetFormat, *DistanceKind}:
        # A union names the member that it tried before the field.
        del place[1]
    elif len(place) > 2 and place[1] == "alpha" and place[2] in ALPHA_TAGS:
        del place[2]
    # The first part says body, path or query.
    name = ".".join(place[1:]) or place[0]
    return {"field": name, "message": str(found["msg"]).removeprefix("Value error, ")}
