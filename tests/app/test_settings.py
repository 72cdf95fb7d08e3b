"""The settings and what is written about them."""

import os
import re
from pathlib import Path

import pytest

from app.settings import Settings

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_every_setting_is_documented_and_nothing_else():
    documented = re.findall(r"^\| `OT3L_([A-Z_]+)` \|", OPERATIONS.read_text(), re.MULTILINE)
    assert [name.lower() for name in documented] == list(Settings.model_fields)


def test_roots_are_separated_like_path(monkeypatch):
    monkeypatch.setenv("OT3L_DATASET_ROOTS", os.pathsep.join(["/a", "b/c"]))
    assert Settings().dataset_roots == (Path("/a"), Path("b/c"))


def test_buckets_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("OT3L_DATASET_BUCKETS", "s3://flowers, s3://pictures/public/")
    assert [str(place) for place in Settings().dataset_buckets] == ["s3://flowers", "s3://pictures/public"]
    monkeypatch.setenv("OT3L_DATASET_BUCKETS", "s3://flowers/../all")
    with pytest.raises(ValueError, match="must not have empty parts"):
        Settings()


def test_an_empty_variable_is_no_setting(monkeypatch):
    monkeypatch.setenv("OT3L_DEFAULT_SOURCE", "")
    assert Settings().default_source is None


@pytest.mark.parametrize("name", ["lease_seconds", "heartbeat_seconds", "max_attempts"])
def test_nothing_can_be_set_to_nonsense(monkeypatch, name):
    monkeypatch.setenv(f"OT3L_{name.upper()}", "0")
    with pytest.raises(ValueError, match=name):
        Settings()
