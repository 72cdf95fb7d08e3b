"""Every source that a docstring names can be looked up."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENTRIES = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "docs" / "references.bib").read_text(), flags=re.MULTILINE))
MODULES = sorted(path for part in ("ot3l_core", "benchmarks") for path in (ROOT / part).rglob("*.py"))
KEY = re.compile(r"\b[a-z]+(?:19|20)\d\d[a-z]+\b")


def cited(text):
    """Keys in the sections of docstrings that name sources."""
    sections = re.findall(r"^( *)Source:\n((?:\1    .*\n|\n)+)", text, flags=re.MULTILINE)
    return {key for _, section in sections for key in KEY.findall(section)}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_source_is_in_the_bibliography(module):
    assert cited(module.read_text()) <= ENTRIES


def test_every_entry_is_cited_somewhere():
    texts = [path.read_text() for path in (*MODULES, *(ROOT / "docs").rglob("*.md"))]
    assert {entry for entry in ENTRIES if not any(entry in text for text in texts)} == set()
