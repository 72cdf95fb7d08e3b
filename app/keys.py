"""API keys of any owner, for whoever runs the service: ``python -m app.keys``.

A secret goes to standard output and nothing else does, so that ``KEY=$(python -m app.keys create ...)`` works.
"""

import argparse
import re
import sys
from uuid import UUID

from app.errors import ServiceError, UnavailableError
from app.principals import Scope
from app.schemas.keys import DAY, LONGEST_GRACE, LONGEST_LIFE
from app.services.keys import Issued, create_key, end_key, rotate_key
from app.settings import read_settings
from app.store.keys import list_keys
from app.store.records import KeyRecord
from app.store.sessions import Database, Session, open_database

_OWNER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the database is that of the settings."""
    asked = _parser().parse_args(arguments)
    database = open_database(read_settings().resolved_database_url)
    try:
        _require_tables(database)
        with database.writing() as session:
            _COMMANDS[asked.command](session, asked)
    except ServiceError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    finally:
        database.close()
    return 0


def _require_tables(database: Database) -> None:
    try:
        database.ping()
    except Exception as error:
        raise UnavailableError(
            "The database does not answer, or has no tables yet: start the service once, or run `alembic upgrade head`."
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.keys", description="API keys of OT3L.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print its secret, once")
    create.add_argument("--owner", required=True, type=_owner, help="whose it is; `local` is who worked without keys")
    create.add_argument("--scope", required=True, action="append", type=Scope, choices=list(Scope), help="repeatable")
    create.add_argument("--name", default="made by the operator", help="what it is for")
    create.add_argument("--days", type=_days, metavar="DAYS", help="how long it lives; default: for ever")
    shown = commands.add_parser("list", help="show keys, without their secrets")
    shown.add_argument("--owner", type=_owner, help="default: of everybody")
    rotate = commands.add_parser("rotate", help="replace a key by a new one and print its secret, once")
    rotate.add_argument("id", type=UUID)
    rotate.add_argument("--grace", type=_seconds, default=0.0, metavar="SECONDS", help="how long the old one goes on")
    revoke = commands.add_parser("revoke", help="end a key")
    revoke.add_argument("id", type=UUID)
    return parser


def _create(session: Session, asked: argparse.Namespace) -> None:
    lives = None if asked.days is None else asked.days * DAY
    _tell(session, create_key(session, asked.owner, name=asked.name, scopes=set(asked.scope), expires_in=lives))


def _list(session: Session, asked: argparse.Namespace) -> None:
    before = None
    while page := list_keys(session, asked.owner, before=before, limit=200):
        for record in page:
            sys.stdout.write(_line_of(record) + "\n")
        before = page[-1].id


def _rotate(session: Session, asked: argparse.Namespace) -> None:
    _tell(session, rotate_key(session, None, asked.id, grace_seconds=asked.grace))


def _revoke(session: Session, asked: argparse.Namespace) -> None:
    record = end_key(session, None, asked.id)
    session.commit()
    sys.stderr.write(f"{_line_of(record)}\n")


_COMMANDS = {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}


def _owner(text: str) -> str:
    if _OWNER.fullmatch(text) is None:
        raise argparse.ArgumentTypeError("must be 1 to 64 of a-z, 0-9, `.`, `_`, `-`, the first a letter or a digit")
    return text


def _days(text: str) -> float:
    if not 0 < float(text) <= LONGEST_LIFE / DAY:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most {LONGEST_LIFE // DAY}")
    return float(text)


def _seconds(text: str) -> float:
    if not 0 <= float(text) <= LONGEST_GRACE:
        raise argparse.ArgumentTypeError(f"must be from 0 to {LONGEST_GRACE}")
    return float(text)


def _tell(session: Session, issued: Issued) -> None:
    session.commit()
    sys.stderr.write(f"{_line_of(issued.record)}\nIts secret, which is not shown again:\n")
    sys.stdout.write(f"{issued.secret}\n")


def _line_of(record: KeyRecord) -> str:
    moments = {"expires": record.expires_at, "last used": record.last_used_at, "revoked": record.revoked_at}
    told = [f"{word} {moment:%Y-%m-%d %H:%M}Z" for word, moment in moments.items() if moment is not None]
    return "  ".join([str(record.id), record.owner, record.hint, ",".join(record.scopes), repr(record.name), *told])


if __name__ == "__main__":
    sys.exit(main())
