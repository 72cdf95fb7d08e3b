"""What goes to standard output, and what to standard error."""

import datetime as dt
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pydantic import BaseModel

UNLIMITED = 10_000
"""Columns of what is no terminal: nothing is cut off for a program that reads a table."""


def out() -> Console:
    """Standard output: results and nothing else."""
    return Console(width=_width(sys.stdout.isatty()), highlight=False, soft_wrap=False)


def err() -> Console:
    """Standard error: progress and messages."""
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Tell something that is no result; markup of rich is understood."""
    err().print(text, soft_wrap=True)


def say_error(*lines: str) -> None:
    """Tell what went wrong; the text is taken as it is."""
    console = err()
    for line in lines:
        console.print(f"[red]{escape(visible(line))}[/red]", soft_wrap=True)


def visible(text: str) -> str:
    """A text that came from elsewhere, without what would control a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def print_json(document: object) -> None:
    """One JSON document; indented where somebody looks at it."""
    print(json.dumps(document, indent=2 if sys.stdout.isatty() else None))  # noqa: T201 - the result


def print_body(body: "BaseModel") -> None:
    """A body of the wire, as the service sent it."""
    print_json(body.model_dump(mode="json"))


def print_bodies(bodies: "Iterable[BaseModel]") -> None:
    """Several, as one list."""
    print_json([body.model_dump(mode="json") for body in bodies])


def print_line(body: "BaseModel") -> None:
    """One of a stream: a line of JSON, at once."""
    # All of it ASCII: other separators of lines are none to a program that reads lines.
    print(json.dumps(body.model_dump(mode="json")), flush=True)  # noqa: T201 - the result


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Rows below headings; the first column is never cut off."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=not place, overflow="fold")
    for row in rows:
        table.add_row(*(escape(visible(_text(value))) for value in row))
    out().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one a line; what is None is left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None:
            table.add_row(name, escape(visible(_text(value))))
    out().print(table)


def percent(share: float | None, digits: int = 1) -> str:
    """A share as people read it; nothing where there is none."""
    return "" if share is None else f"{100 * share:.{digits}f}"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case dt.datetime():
            return f"{value.astimezone():%Y-%m-%d %H:%M}"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _width(is_terminal: bool) -> int | None:  # noqa: FBT001 - the one thing that it depends on
    return None if is_terminal or "COLUMNS" in os.environ else UNLIMITED
