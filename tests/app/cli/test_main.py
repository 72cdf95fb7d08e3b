"""The command line as a whole: fast to start, readable when it fails, and its statuses."""

import subprocess
import sys

import pytest
import typer.main

from app.cli.failures import Status
from app.cli.main import app


def commands(command, name=()):
    """Every command, by the words that call it."""
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from commands(inner, (*name, word))
    else:
        yield name


ALL = sorted(commands(typer.main.get_command(app)))


def test_help_needs_neither_torch_nor_the_client():
    program = (
        "import sys; sys.argv = ['ot3l', '--help']; import app.cli.main;"
        "\ntry: app.cli.main.main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'sqlalchemy', 'celery', 'httpx2', 'app.client'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "Usage: ot3l" in shown.stdout


@pytest.mark.parametrize("name", ALL, ids=" ".join)
def test_every_command_explains_itself_and_speaks_json(ot3l, name):
    shown = ot3l(*name, "--help")
    assert shown.status == 0
    assert name == ("serve",) or "--json" in shown.out


def test_completion_is_there(ot3l, monkeypatch):
    assert "--install-completion" in ot3l("--help").out
    assert ot3l("--version").out.startswith("ot3l ")


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("", 2, "Usage"),
        ("nonsense", 2, "No such command"),
        ("run", 2, "Missing argument"),
        ("run x --alpha half", 2, "0,0.5,1"),
        ("run x --fine-tune some", 2, "number of blocks"),
        ("run x --set budget", 2, "FIELD=VALUE"),
        ("run x --set training=1 --set training.epochs=2", 2, "has a value already"),
        ("run x --strategy best", 2, "fitted"),
        ("distance one", 2, "a source and a target"),
        ("jobs list", 3, "ot3l serve"),
        ("backbones", 3, "ot3l serve"),
        ("predict none.safetensors none.png", 1, "there is no file or folder 'none.png'"),
        ("datasets add ./none", 1, "no file or folder"),
    ],
)
def test_an_error_is_a_status_and_a_few_lines(ot3l, line, status, said, naps):
    ended = ot3l("--url", "http://127.0.0.1:9", *line.split())
    assert (ended.status, said in ended.out + ended.err) == (status, True), ended
    assert ended.out == "" or not line
    assert "Traceback" not in ended.err


def test_ctrl_c_is_told_in_a_word(there, target, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("app.client.work.Work.wait", interrupt)
    monkeypatch.setattr("app.client.work.Work.events", interrupt)
    ended = there("run", "target", "--strategy", "uniform")
    assert ended.status == Status.INTERRUPTED
    assert "goes on" in ended.err
    monkeypatch.setattr("app.cli.jobs.connect", interrupt)
    ended = there("jobs", "list")
    assert (ended.status, ended.err) == (Status.INTERRUPTED, "interrupted\n")
