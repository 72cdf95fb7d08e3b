"""Every hostile file ends in the error that it should, in a process that has little memory and keeps nothing open."""

import json
import subprocess
import sys

import pytest

from tests.hostile.files import hostile_files

ALL = hostile_files()
MEGABYTES = 1200  # of which torch takes half


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def outcomes(root, tmp_path_factory):
    """What became of each file, in one process that reads all of them, one after the other."""
    bodies, scratch = root / "bodies.json", tmp_path_factory.mktemp("scratch")
    made = {}
    for name, hostile in ALL.items():
        (root / name).mkdir()
        made[name] = hostile.make(root / name)
    bodies.write_text(json.dumps(made))
    before = set(root.rglob("*"))
    run = subprocess.run(
        [sys.executable, "-m", "tests.hostile.contained", bodies, scratch], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert list(scratch.iterdir()) == []
    assert set(root.rglob("*")) == before
    return {line["name"]: line for line in map(json.loads, run.stdout.splitlines())}


@pytest.mark.parametrize("name", ALL)
def test_it_ends_in_its_error(outcomes, root, name):
    found = outcomes[name]
    assert found["code"] == ALL[name].code, found
    assert str(root) not in found["message"]
    assert len(found["message"]) < 1000
    assert found["megabytes"] < MEGABYTES
