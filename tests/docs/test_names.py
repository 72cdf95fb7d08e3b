"""What the documentation tells people to type exists: commands, options, targets, routes, variables and pictures."""

import re
import shlex

import pytest
import typer
from typer._click.exceptions import ClickException

from app.cli.main import app
from app.main import create_app
from app.settings import Settings
from tests.docs.pages import BLOCKS, PAGES, ROOT, name_of, prose_of

SHELL = [block for block in BLOCKS if block.language == "sh"]
COMMAND_LINE = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
ROUTES = [
    (method.upper(), path)
    for path, operations in create_app(Settings()).openapi()["paths"].items()
    for method in operations
]
SOME_ID = "0193b0c1-2f6e-7a52-9f3e-0c8a2f5f7c11"
_UNSETTLED = re.compile(r"<[a-z ]+>")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")
_BY_METHOD = ((r" -X ([A-Z]+)", None), (r" -T ", "PUT"), (r" (?:-d|--data|-F) ", "POST"))


def commands_of(text):
    """Every simple command of a shell block, as its words; what is to be filled in is an id."""
    lines = _UNSETTLED.sub(SOME_ID, text.replace("\\\n", " ")).splitlines()
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        words = []
        for word in [*lexer, "|"]:
            if set(word) <= set("|&;"):
                while words and (_ASSIGNMENT.match(words[0]) or words[0] == "export"):
                    words = words[1:]
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def follow(words):
    """The command of ``ot3l`` that some words lead to, and what is left of them."""
    command, rest = COMMAND_LINE, list(words)
    while getattr(command, "commands", None) and rest and not rest[0].startswith("-"):
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def each(program):
    """Every use of a program in shell blocks, each as a parameter of a test."""
    return [
        pytest.param(words[1:], id=f"{block.page}:{block.line}: {' '.join(words)}"[:120])
        for block in SHELL
        for words in commands_of(block.text)
        if words[0] == program
    ]


@pytest.mark.parametrize("words", each("ot3l"))
def test_a_command_and_its_options_are_understood(words):
    command, rest = follow(words)
    assert not getattr(command, "commands", None)
    try:
        command.make_context("ot3l", rest).close()
    except ClickException as error:
        pytest.fail(error.format_message())


def test_a_command_that_is_not_there_would_be_noticed():
    with pytest.raises(KeyError):
        follow(["fly"])
    command, rest = follow(["jobs", "list", "--nonsense"])
    with pytest.raises(ClickException):
        command.make_context("ot3l", rest)


@pytest.mark.parametrize("words", each("make"))
def test_a_target_is_in_the_makefile(words):
    assert next(word for word in words if "=" not in word) in TARGETS


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_prose_names_is_there(page):
    prose = prose_of(page)
    assert set(re.findall(r"`make ([a-z-]+)", prose)) <= TARGETS
    for words in re.findall(r"`ot3l ([a-z][a-z -]*[a-z])`", prose):
        follow(words.split())


def matches(path, route):
    """Whether a path is one of a route's; what is to be filled in stands for anything."""
    parts, patterns = path.strip("/").split("/"), route.strip("/").split("/")
    return len(parts) == len(patterns) and all(
        pattern.startswith("{") or part == pattern for part, pattern in zip(parts, patterns, strict=True)
    )


def requests_of(text):
    """Every request by curl in a block: method and path."""
    for line in _UNSETTLED.sub(SOME_ID, text.replace("\\\n", " ")).splitlines():
        for asked in re.findall(r"curl [^|]*", line):
            path = re.search(r"(?:localhost|127\.0\.0\.1):8000(/[^\s'\"?]*)", asked)
            if path is None:
                continue
            method = "GET"
            for pattern, meant in reversed(_BY_METHOD):
                if found := re.search(pattern, asked):
                    method = meant or found[1]
            yield method, path[1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param(*request, id=f"{block.page}:{block.line}: {' '.join(request)}")
        for block in SHELL
        for request in requests_of(block.text)
    ],
)
def test_a_request_by_curl_has_a_route(method, path):
    assert any(method == known and matches(path, route) for known, route in ROUTES)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_variable_is_a_setting(page):
    known = {f"OT3L_{name.upper()}" for name in Settings.model_fields}
    # Those of the client, and of tests that are tuned by hand.
    code = "".join(
        path.read_text() for folder in ("app/client", "app/cli", "tests/e2e") for path in (ROOT / folder).rglob("*.py")
    )
    named = set(re.findall(r"\bOT3L_[A-Z][A-Z_]*[A-Z]\b", page.read_text()))
    assert {name for name in named - known if name not in code} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pictures_and_files_that_are_linked_exist(page):
    for link in re.findall(r"\]\(([^)\s#]+)", prose_of(page)):
        made = (
            link.startswith(("http:", "https:", "mailto:"))
            or "reference/" in link
            or name_of(page).startswith("docs/reference")
        )
        assert made or (page.parent / link).exists(), link


def test_files_that_commands_run_exist():
    for block in SHELL:
        for words in commands_of(block.text):
            scripts = [word for word in words if word.endswith(".py") and "/" in word]
            assert all((ROOT / script).exists() for script in scripts), words
            if words[0].endswith("python") and words[1:2] == ["-m"] and words[2].startswith(("app", "tests", "docs")):
                place = ROOT / words[2].replace(".", "/")
                assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), words
