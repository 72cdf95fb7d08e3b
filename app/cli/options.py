"""What several commands are asked with, and the way to the service."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.client import Client

ATTEMPTS = 4

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AsLines = Annotated[bool, typer.Option("--json", help="JSON, one object a line, on standard output.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Any other field of the request, such as training.epochs=20; repeatable."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only check it, and say what it would cost.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Only ask for it: print its id and leave.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Where to: a file, or a folder that is there.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at the most.")]


@dataclass(frozen=True, slots=True)
class Service:
    """Which service is meant.

    Attributes:
        url: None for that of the environment.
        key: None likewise.
    """

    url: str | None = None
    key: str | None = None


def connect(context: typer.Context, *, attempts: int = ATTEMPTS) -> "Client":
    """A client of the service that the command line names; it ends with the command."""
    from app.client import Client

    service = context.find_object(Service) or Service()
    client = Client(service.url, key=service.key, attempts=attempts)
    context.call_on_close(client.close)
    return client


def settings_of(given: list[str] | None, **named: object) -> dict[str, object]:
    """The settings of a request: those that have an option of their own and were given, and those of ``--set``.

    Raises:
        typer.BadParameter: If one of ``--set`` has no ``=``, or contradicts another.
    """
    settings = {name: value for name, value in named.items() if value is not None and value != []}
    for one in given or []:
        path, equals, text = one.partition("=")
        if not equals or not path:
            raise typer.BadParameter(f"{one!r} is not FIELD=VALUE", param_hint="--set")
        _put(settings, path.split("."), _value(text), one)
    return settings


def _put(settings: dict[str, object], path: list[str], value: object, said: str) -> None:
    *outer, last = path
    for name in outer:
        inner = settings.setdefault(name, {})
        if not isinstance(inner, dict):
            raise typer.BadParameter(f"{said!r}: {name} has a value already", param_hint="--set")
        settings = inner
    settings[last] = value


def _value(text: str) -> object:
    """JSON where it is such, else the text itself."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value
