"""A service to ask, our own or one that is running, and work done by it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from app.client import Client, Dataset, Distance, Job, NotFoundError
from app.client.bars import progress_bar
from app.local.embedded import embedded

console = Console()


@contextmanager
def reach(url: str | None, *, data: Path, keep: Path | None) -> Iterator[Client]:
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
        yield stack.enter_context(Client(url))


def register(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    """The registered dataset, inspected; one that the service knows by this name already is taken as it is.

    Raises:
        ClientError: If it cannot be registered, or the service does not answer.
    """
    try:
        dataset = client.datasets.get(body["name"])
    except NotFoundError:
        dataset = client.datasets.create(**body)
    return run(dataset, f"register {body['name']}")


def run(work: Dataset | Distance | Job, title: str) -> dict[str, Any]:
    """Wait for work that was asked for; as the service tells of it.

    Raises:
        ClientError: If it fails, or the service does not answer.
    """
    try:
        with progress_bar(f"{title:28}", console=console) as bar:
            work.wait(on_progress=bar)
    except KeyboardInterrupt:
        # A service that goes on running would go on computing for nobody.
        if isinstance(work, Job):
            work.cancel()
        raise
    return work.latest.model_dump(mode="json")
