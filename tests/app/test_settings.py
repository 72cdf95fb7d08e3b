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


def as_written(default):
    """A default as the table writes it in code, or as a number of bytes."""
    return str(default).lower() if isinstance(default, bool) else str(getattr(default, "value", default))


def test_documented_defaults_are_those_of_the_code():
    rows = re.findall(r"^\| `OT3L_([A-Z_]+)` \| ([^|]+) \|", OPERATIONS.read_text(), re.MULTILINE)
    compared = 0
    for name, written in rows:
        default = Settings.model_fields[name.lower()].get_default(call_default_factory=True)
        if code := re.match(r"`([^`]+)`", written):
            assert code[1] == as_written(default), name
        elif size := re.fullmatch(r"(\d+) ([GM])iB", written):
            assert int(size[1]) << {"G": 30, "M": 20}[size[2]] == default, name
        else:
            # Said in words: nothing, or what follows from something else.
            assert default in (None, "", (), (Path(),)), (name, default)
        compared += code is not None
    assert compared > 15


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
