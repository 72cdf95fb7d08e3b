"""The site builds without a warning, holds everything, and asks no other host for anything."""

import importlib
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
    titles = {re.sub(r"<[^>]*>", "", entry["title"]) for entry in found}
    assert {"Start", "The certificate", "ot3l run", "POST /jobs", "Changelog"} <= titles


def test_every_decision_is_in_the_index(site):
    index = (site / "decisions/index.html").read_text()
    decisions = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert len(decisions) >= 10
    assert all(f'href="{page.stem}.html"' in index for page in decisions)


def test_links_that_lead_nowhere_stop_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs/index.md"
    kept = yaml.safe_load((ROOT / ".mkdocs.yml").read_text())["validation"]
    config = {"site_name": "x", "strict": True, "validation": kept, "plugins": []}
    (tmp_path / "mkdocs.yml").write_text(json.dumps(config))
    nowhere = ["[x](nowhere.md)", "[x](#nowhere)", "![x](nowhere.svg)", "[x](/index.md)"]
    page.write_text("# Here\n\n" + "\n".join(nowhere))
    built = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert f"Aborted with {len(nowhere)} warnings in strict mode" in built.stdout + built.stderr
    assert built.returncode == 1
    page.write_text("# Here\n\n[x](#here)\n")
    assert build(tmp_path / "mkdocs.yml", tmp_path / "site").returncode == 0


def test_links_by_the_repositorys_folders_lead_to_pages():
    sys.path.insert(0, str(ROOT / "docs/building"))
    try:
        hooks = importlib.import_module("hooks")
    finally:
        sys.path.pop(0)
    assert hooks.relink("[x](docs/method.md#a)", "CONTRIBUTING.md") == "[x](method.md#a)"
    assert hooks.relink("[x](../benchmarks/results/ot.md)", "engine.md") == "[x](benchmarks/results/ot.md)"
    assert hooks.relink("[x](../../docs/method.md)", "benchmarks/results/ot.md") == "[x](../../method.md)"
    assert hooks.relink("[x](engine.md)", "method.md") == "[x](engine.md)"
