"""How errors and accepted work look in the API's document."""

from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from app.errors import ServiceError
from app.schemas.problems import ProblemRead

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"description": "Where to watch the work.", "schema": {"type": "string"}}}}
}


def problem_response(error: ServiceError, request_id: str) -> JSONResponse:
    """An error as a reply, for layers that lie outside of the application's own handlers."""
    return JSONResponse(
        error.marshal() | {"request_id": request_id},
        status_code=error.status,
        headers=error.headers,
        media_type="application/problem+json",
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its ``responses``."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": ProblemRead.model_json_schema()}},
        }
        for status in statuses
    }
