"""Health, for whoever restarts and routes."""

from collections.abc import Callable

from fastapi import APIRouter

from app.api.dependencies import BlobsDep, DatabaseDep, QueueDep
from app.api.problems import problems
from app.errors import UnavailableError
from app.schemas.health import Health

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", name="check_liveness")
def live() -> Health:
    """Answer: the process runs."""
    return Health(status="ok")


@router.get("/ready", name="check_readiness", responses=problems(503))
def ready(database: DatabaseDep, queue: QueueDep, blobs: BlobsDep) -> Health:
    """Answer once the database, the broker and the blob store do."""
    parts: dict[str, Callable[[], object]] = {
        "database": database.ping,
        "broker": queue.depth,
        "blobs": blobs.ping,
    }
    silent = [name for name, ask in parts.items() if not _answers(ask)]
    if silent:
        raise UnavailableError(f"Not ready: {', '.join(silent)} {'does' if len(silent) == 1 else 'do'} not answer.")
    return Health(status="ok")


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Exception:  # noqa: BLE001 - whatever a part raises, it is not ready
        return False
    return True
