"""What Prometheus asks for."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api.dependencies import DatabaseDep, PrincipalDep, QueueDep
from app.observing.metrics import gathered
from app.services.watching import UnderWay

router = APIRouter(tags=["health"])
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format."}
}


@router.get("/metrics", response_class=Response, responses=_TEXT)
def get_metrics(_admin: PrincipalDep, database: DatabaseDep, queue: QueueDep) -> Response:
    """Tell what all processes of the API have counted, and what is under way."""
    return Response(generate_latest(gathered(UnderWay(database, queue))), media_type=CONTENT_TYPE_LATEST)
