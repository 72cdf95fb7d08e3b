"""The pages that are read as documentation, and the code in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Where it stands, from the top of the repository.
        line: The line of its fence.
        language: As the fence says.
        text: What is in it.
    """

    page: str
    line: int
    language: str
    text: str


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def blocks_of(page):
    text = page.read_text()
    return [
        Block(name_of(page), text.count("\n", 0, found.start()) + 1, found[2], dedent(found[3]))
        for found in _FENCE.finditer(text)
    ]


def prose_of(page):
    """A page without its blocks."""
    return _FENCE.sub("", page.read_text())


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
