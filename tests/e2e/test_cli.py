"""The command line from a folder of images to their classes, as processes of its own."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.generators.pictures import separable_tree, write_image_folder


@pytest.fixture
def ot3l(service, tmp_path):
    """Runs a command line in a folder of its own; gives the finished process."""
    environment = os.environ | {"OT3L_URL": service.local.url, "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*arguments):
        command = [sys.executable, "-m", "app.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    return run


def test_a_folder_becomes_a_network_that_knows_its_classes(ot3l, tmp_path):
    write_image_folder(tmp_path / "cli-pictures", {"": separable_tree({"dark": 30, "light": 30})})
    settings = ("--input-size", 32, "--budget", 20, "--seeds", 1, "--epochs", 30, "--strategy", "uniform")
    ran = ot3l("run", "cli-pictures", *settings, "-o", "out.safetensors", "--json")
    assert ran.returncode == 0, ran.stderr
    job = json.loads(ran.stdout)
    assert (job["state"], job["target"]) == ("succeeded", "cli-pictures")
    assert "uniform: training" in ran.stderr
    brought = ot3l("download", job["id"], "predictions.csv")
    assert brought.returncode == 0, brought.stderr
    with (tmp_path / "predictions.csv").open() as table:
        expected = {row["sample"]: row["predicted"] for row in csv.DictReader(table)}
    predicted = ot3l("predict", "out.safetensors", "cli-pictures", "--json")
    assert predicted.returncode == 0, predicted.stderr
    found = {
        one["image"].removeprefix("cli-pictures/"): one["classes"][0]["name"] for one in json.loads(predicted.stdout)
    }
    assert len(found) == 60
    assert expected.items() <= found.items()
