"""The reference of the command line, made from its commands."""

from collections.abc import Iterator

import click
import typer

from app.cli.main import app

PATH = "reference/cli.md"
LEAD = """\
# Command line

`ot3l --help` and `ot3l COMMAND --help` say the same in a terminal. What comes before the command, such as `--url` and
`--key`, is for all of them.
"""


def cli_page() -> tuple[str, str]:
    """The page, with its path."""
    return PATH, "\n\n".join([LEAD, *_sections(typer.main.get_command(app), ("ot3l",), None)]) + "\n"


def command_names() -> set[tuple[str, ...]]:
    """Every command, as the words that follow ``ot3l``."""
    return {path[1:] for path, _ in _walk(typer.main.get_command(app), ("ot3l",))}


def options_of(words: tuple[str, ...]) -> set[str]:
    """The options that a command takes."""
    found = dict(_walk(typer.main.get_command(app), ("ot3l",)))[("ot3l", *words)]
    return {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help",
        "-h",
    }


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, (*path, name))


def _sections(command: click.Command, path: tuple[str, ...], parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=path[-1], parent=parent)
    children = getattr(command, "commands", {})
    usage = " ".join([*path, *command.collect_usage_pieces(context)])
    text = (command.help or "").strip()
    yield f"## `{' '.join(path)}` {{#{'-'.join(path)}}}\n\n{text}\n\n```text\n{usage}\n```"
    records = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    if records:
        rows = [f"| `{name}` | {what} |" for name, what in ((_cell(name), _cell(what)) for name, what in records)]
        yield "\n".join(["| | |", "|---|---|", *rows])
    for name, child in children.items():
        yield from _sections(child, (*path, name), context)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
