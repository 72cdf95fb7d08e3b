"""The client's tour, as its page has it, against a running service."""

import re
from pathlib import Path

import pytest

from tests.generators.pictures import separable_tree, write_image_folder

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def here(service, tmp_path, monkeypatch):
    """A folder with data to bring, and the service in the environment."""
    write_image_folder(tmp_path / "flowers", {"": separable_tree({"ant": 10, "bee": 10})})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OT3L_URL", service.local.url)
    return tmp_path


def test_the_page_of_the_client_runs_from_top_to_bottom(here, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "client.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "client.md", "exec"), {"__name__": "client.md"})  # noqa: S102 - our own page
    told = capsys.readouterr().out
    assert (here / "tour.safetensors").stat().st_size > 1_000_000
    assert (here / "to-label.csv").read_text().count("\n") == 5
    assert all(text in told for text in ("uniform", "not_found", "bee"))
