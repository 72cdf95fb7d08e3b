"""The site builds without a warning, holds everything, and asks no other host for anything."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from app.main import create_app
from app.settings import Settings
from tests.docs.pages import ROOT

_LOADING = r"<(?:link|script|img|iframe|source|video|audio|object|embed)\b"
ELSEWHERE = re.compile(_LOADING + r"[^>]*(?:src|href|data)=\"?(?:https?:)?//")


def build(config, site):
    """Build strictly."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.run(
        [*command, "--config-file", str(config), "--site-dir", str(site)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / ".mkdocs.yml", folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_nothing_is_loaded_from_another_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    assert [page.name for page in pages if ELSEWHERE.search(page.read_text())] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text())
    # Material would fetch what draws these.
    assert not any('class="mermaid"' in page.read_text() for page in pages)


def test_what_is_loaded_from_elsewhere_would_be_noticed():
    assert ELSEWHERE.search('<script src="https://example.com/x.js">')
    assert ELSEWHERE.search('<link rel="stylesheet" href="//example.com/x.css">')
    assert not ELSEWHERE.search('<a href="https://example.com">')


def test_every_operation_and_every_body_is_shown(site):
    document = create_app(Settings()).openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            for tag in operation["tags"]:
                assert f'id="{operation["operationId"]}"' in (site / f"reference/api/{tag}.html").read_text()
    bodies = (site / "reference/api/bodies.html").read_text()
    assert all(f'id="{name}"' in bodies for name in document["components"]["schemas"])


def test_everything_can_be_found_by_the_search(site):
    found = json.loads((site / "search/search_index.json").read_text())["docs"]
    titles = {entry["title"] for entry in found}
    assert {"Start", "The certificate", "ot3l run", "POST /jobs", "Changelog"} <= titles


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text()
    for page in sorted(folder.glob("0*.md")):
        title = page.read_text().split("\n")[0].removeprefix("# ")
        assert f"- [{title}]({page.name})" in index


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](#nowhere)", "![x](nowhere.svg)", "[x](/index.md)"])
def test_a_link_that_leads_nowhere_stops_the_build(tmp_path, link):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# Here\n\n{link}\n")
    kept = yaml.safe_load((ROOT / ".mkdocs.yml").read_text())["validation"]
    config = {"site_name": "x", "strict": True, "validation": kept, "plugins": []}
    (tmp_path / "mkdocs.yml").write_text(json.dumps(config))
    assert build(tmp_path / "mkdocs.yml", tmp_path / "site").returncode == 1
    (tmp_path / "docs/index.md").write_text("# Here\n\n[x](#here)\n")
    assert build(tmp_path / "mkdocs.yml", tmp_path / "site").returncode == 0
