"""docs/cli.md against the commands that there are."""

import re
import shlex
from pathlib import Path

import typer.main

from app.cli.main import app

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
COMMANDS = typer.main.get_command(app).commands


def examples():
    """The words of every example line, without what follows the command in a pipe or a comment."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [shlex.split(line, comments=True)[1:] for block in blocks for line in block.splitlines()]


def find(words):
    """The command that the words call, and its name."""
    command, name = COMMANDS[words[0]], words[:1]
    if hasattr(command, "commands"):
        command, name = command.commands[words[1]], words[:2]
    return command, tuple(name)


def test_every_option_in_an_example_is_one():
    for words in examples():
        command, _ = find(words)
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        asked = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert asked <= options, words


def test_every_command_has_an_example():
    every = {
        (name, *inner)
        for name, command in COMMANDS.items()
        for inner in ([(word,) for word in command.commands] if hasattr(command, "commands") else [()])
    }
    assert {find(words)[1] for words in examples()} == every
