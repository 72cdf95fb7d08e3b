"""How errors and accepted work look in the API's document."""

from http import HTTPStatus
from typing import Any

from app.schemas.problems import ProblemRead

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"description": "Where to watch the work.", "schema": {"type": "string"}}}}
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its ``responses``."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": ProblemRead.model_json_schema()}},
        }
        for status in statuses
    }
