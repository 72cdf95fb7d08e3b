"""A service to ask, our own or one that is running, and work done by it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from app.local.embedded import embedded
from docs.examples.client import console, follow, post

_TIMEOUT_SECONDS = 60.0


@contextmanager
def reach(url: str | None, *, data: Path, keep: Path | None) -> Iterator[httpx2.Client]:
    """A client of the service at ``url``, or of an embedded one that is stopped at the end.

    Args:
        url: Where a service is running; None to start one.
        data: Folder that an embedded service may read data sets from.
        keep: Where an embedded service leaves its features for the next time; None for a temporary folder.
    """
    with ExitStack() as stack:
        if url is None:
            console.print("starting broker, worker and API")
            folder = keep or Path(stack.enter_context(TemporaryDirectory(prefix="ot3l-paper-")))
            environment = {"OT3L_DATASET_ROOTS": str(data.resolve())}
            url = stack.enter_context(embedded(folder, environment=environment)).url
        yield stack.enter_context(httpx2.Client(base_url=url, timeout=_TIMEOUT_SECONDS))


def register(client: httpx2.Client, body: dict[str, Any]) -> dict[str, Any]:
    """The registered dataset, inspected; one that the service knows by this name already is taken as it is.

    Raises:
        ServiceError: If it cannot be registered.
        httpx2.HTTPError: If the service does not answer.
    """
    location = f"/datasets/{body['name']}"
    if not client.get(location).is_success:
        location = post(client, "/datasets", body)
    return follow(client, location, f"register {body['name']}")


def run(client: httpx2.Client, path: str, body: dict[str, Any], title: str) -> dict[str, Any]:
    """Ask for work and wait for it.

    Raises:
        ServiceError: If it is refused or fails.
        httpx2.HTTPError: If the service does not answer.
    """
    location = post(client, path, body)
    try:
        return follow(client, location, title)
    except KeyboardInterrupt:
        # A service that goes on running would go on computing for nobody. Only jobs can be cancelled.
        if path == "/jobs":
            client.post(f"{location}/cancel")
        raise
