"""How errors look, as replies and in the API's document."""

from http import HTTPStatus
from typing import Any, Final

from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match

from app.errors import ServiceError
from app.schemas.problems import ProblemRead

TEXT: Final = {"schema": {"type": "string"}}
"""Content that is no JSON."""


def methods_at(request: Request) -> list[str]:
    """What the address of a request takes, by all routes together; each route knows only its own."""
    routes = iter_route_contexts(request.app.routes)
    found = (route.methods or () for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted(set().union(*found))


def problem_response(error: ServiceError, request_id: str) -> JSONResponse:
    """An error as a reply, for layers that lie outside of the application's own handlers."""
    return JSONResponse(
        error.marshal() | {"request_id": request_id},
        status_code=error.status,
        headers=error.headers,
        media_type="application/problem+json",
    )


def reference(body: type[BaseModel]) -> dict[str, str]:
    """A body in the API's document, where no route takes or returns it; ``app/api/document.py`` has to know it."""
    return {"$ref": f"#/components/schemas/{body.__name__}"}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its ``responses``."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": reference(ProblemRead)}},
        }
        for status in statuses
    }
