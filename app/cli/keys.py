"""``ot3l keys``: over HTTP with a key of the scope ``admin``, or directly on the database.

A secret goes to standard output and nothing else does, so that ``KEY=$(ot3l keys create ...)`` works.
"""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar
from uuid import UUID

import typer

from app.cli.options import AsJson, connect
from app.cli.output import out, print_bodies, print_body, say
from app.principals import Scope

if TYPE_CHECKING:
    from app.schemas.keys import KeyCreate, KeyIssued, KeyRead

T = TypeVar("T")
_OWNER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
DAY = 86_400

app = typer.Typer(no_args_is_help=True, help="By what right the service is asked.")


class KeyRing(Protocol):
    """Where keys are."""

    def create(self, request: "KeyCreate", /) -> "KeyIssued":
        """Make one."""

    def list(self) -> "Iterator[KeyRead]":
        """All of them."""

    def rotate(self, key_id: UUID, /, *, grace_seconds: float = 0.0) -> "KeyIssued":
        """Replace one."""

    def revoke(self, key_id: UUID, /) -> "KeyRead":
        """End one."""


def _owner(text: str | None) -> str | None:
    if text is not None and _OWNER.fullmatch(text) is None:
        raise typer.BadParameter("must be 1 to 64 of a-z, 0-9, `.`, `_`, `-`, the first a letter or a digit")
    return text


Id = Annotated[UUID, typer.Argument(metavar="KEY", help="Its id.")]
Direct = Annotated[
    bool, typer.Option("--direct", help="On the database of OT3L_DATABASE_URL: for whoever runs the service.")
]
Owner = Annotated[str | None, typer.Option(callback=_owner, help="Whose; only with --direct.")]


@app.command()
def create(
    context: typer.Context,
    scope: Annotated[list[Scope], typer.Option(help="What it allows; repeatable.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "made by ot3l keys",
    days: Annotated[float | None, typer.Option(help="How long it lives; default: for ever.")] = None,
    owner: Owner = None,
    *,
    direct: Direct = False,
    as_json: AsJson = False,
) -> None:
    """Make a key and print its secret, once."""
    from app.schemas.keys import KeyCreate

    ring = _ring(context, owner, direct=direct)
    lives = None if days is None else days * DAY
    asked = _checked("--days", lambda: KeyCreate(name=name, scopes=frozenset(scope), expires_in=lives))
    if direct and owner is None:
        raise typer.BadParameter("name the owner of the key", param_hint="--owner")
    _tell(ring.create(asked), as_json=as_json)


@app.command("list")
def list_(context: typer.Context, owner: Owner = None, *, direct: Direct = False, as_json: AsJson = False) -> None:
    """List keys, without their secrets."""
    found = list(_ring(context, owner, direct=direct).list())
    if as_json:
        print_bodies(found)
        return
    for key in found:
        # Not a table: of eight columns none would be read in a terminal of eighty.
        out().print(_line(key), markup=False, soft_wrap=True)


@app.command()
def rotate(
    context: typer.Context,
    key: Id,
    grace: Annotated[float, typer.Option(metavar="SECONDS", help="How long the old one goes on.")] = 0.0,
    *,
    direct: Direct = False,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one and print its secret, once."""
    from app.schemas.keys import KeyRotate

    asked = _checked("--grace", lambda: KeyRotate(grace_seconds=grace))
    _tell(_ring(context, None, direct=direct).rotate(key, grace_seconds=asked.grace_seconds), as_json=as_json)


@app.command()
def revoke(context: typer.Context, key: Id, *, direct: Direct = False, as_json: AsJson = False) -> None:
    """End a key."""
    found = _ring(context, None, direct=direct).revoke(key)
    if as_json:
        print_body(found)
    else:
        say(_line(found))


def _ring(context: typer.Context, owner: str | None, *, direct: bool) -> KeyRing:
    if not direct:
        if owner is not None:
            raise typer.BadParameter(
                "over HTTP keys are those of your own key's owner: add --direct", param_hint="--owner"
            )
        return connect(context).keys
    from app.cli.direct_keys import open_direct_keys

    ring = open_direct_keys(owner)
    context.call_on_close(ring.database.close)
    return ring


def _checked(option: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        # Pydantic's, of which the last line but one says what would be right.
        said = str(error).splitlines()
        raise typer.BadParameter(said[-2].strip().partition(" [")[0], param_hint=option) from error


def _line(key: "KeyRead") -> str:
    ends = (("expires", key.expires_at), ("last used", key.last_used_at), ("revoked", key.revoked_at))
    told = [f"{word} {moment:%Y-%m-%d %H:%M}Z" for word, moment in ends if moment is not None]
    owner = [owner] if (owner := getattr(key, "owner", None)) else []
    return "  ".join([str(key.id), *owner, key.hint, ",".join(key.scopes), repr(key.name), *told])


def _tell(issued: "KeyIssued", *, as_json: bool) -> None:
    if as_json:
        print_body(issued)
        return
    say(_line(issued))
    if issued.secret is None:
        say("[yellow]its secret was in an answer that never came: revoke it, and make another[/yellow]")
        raise typer.Exit(1)
    say("Its secret, which is not shown again:")
    print(issued.secret)  # noqa: T201 - the result
