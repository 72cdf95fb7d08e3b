"""What MkDocs calls while it makes the site (.mkdocs.yml names this file).

Pages that are made from code, and files that lie elsewhere in the repository, join the site here. Links between
them are those of the repository, so that every page reads as well where the code is.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from api_reference import api_pages
from cli_reference import cli_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
ELSEWHERE = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "benchmarks/results/**/*.md",
    "benchmarks/results/**/*.svg",
)
"""What is shown although it is not below docs/."""
DECISIONS = "decisions"
"""The folder with a page for each decision; the site lists them."""
_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[#)])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made, and what lies elsewhere."""
    for path in _elsewhere():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    for path, text in (*api_pages(), cli_page()):
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead links that go by the repository's folders to where their pages are in the site."""
    if page.file.src_uri == f"{DECISIONS}/README.md":
        markdown = f"{markdown}\n{_index_of_decisions()}"
    return relink(markdown, page.file.src_uri)


def relink(markdown: str, page: str) -> str:
    """The text of a page with its links as they are in the site.

    Args:
        markdown: Its text, with links as in the repository.
        page: Its path in the site.
    """
    shown = set(_elsewhere())
    at = page if page in shown else f"docs/{page}"

    def lead(found: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(at), found[1]))
        if place in shown:
            there = place
        elif place.startswith("docs/"):
            there = place.removeprefix("docs/")
        else:
            return found[1]
        return posixpath.relpath(there, posixpath.dirname(page) or ".")

    return _LINK.sub(lead, markdown)


def _index_of_decisions() -> str:
    pages = sorted((ROOT / "docs" / DECISIONS).glob("[0-9]*.md"))
    return "".join(f"- [{page.read_text().partition(chr(10))[0].removeprefix('# ')}]({page.name})\n" for page in pages)


def _elsewhere() -> Iterator[str]:
    for pattern in ELSEWHERE:
        for path in sorted(ROOT.glob(pattern)):
            yield path.relative_to(ROOT).as_posix()
