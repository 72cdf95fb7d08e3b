"""The whole command on pictures made up here; a broken data set costs nothing but its own rows."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.paper.__main__ import main

SMALL = ("--input-size", "32", "--seeds", "2", "--budget", "12", "--blocks", "none")


def fill(folder, n_classes, n_pictures, seed):
    """Class folders whose pictures differ in brightness."""
    generator = np.random.default_rng(seed)
    for label in range(n_classes):
        (folder / f"class-{label}").mkdir(parents=True)
        for number in range(n_pictures):
            pixels = generator.integers(0, 100, (16, 16, 3)) + 150 * label // n_classes
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"class-{label}" / f"{number}.png")


@pytest.mark.slow
def test_a_broken_target_does_not_lose_the_others(tmp_path):
    data, results = tmp_path / "data", tmp_path / "results"
    fill(data / "imagenet", 3, 6, seed=0)
    fill(data / "cifar10", 2, 20, seed=1)
    (data / "mnist.npz").write_bytes(b"no archive")
    assert main(["--data", str(data), "--output", str(results), *SMALL]) == 1
    kept = json.loads((results / "paper.json").read_text())
    assert [failure["what"] for failure in kept["failures"]] == ["MNIST: registration"]
    assert len(kept["targets"]["cifar10"]["jobs"]) == 6
    assert {missing["name"] for missing in kept["missing"]} >= {"kmnist", "coco"}
    assert kept["distances"]["result"]["datasets"] == ["imagenet", "cifar10"]
    assert (results / "figure2.png").stat().st_size > 1000
    assert str(tmp_path) not in (results / "paper.json").read_text() + (results / "paper.md").read_text()


def test_without_a_source_nothing_is_run(tmp_path):
    np.savez(tmp_path / "mnist.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.arange(4) % 2)
    assert main(["--data", str(tmp_path), "--output", str(tmp_path / "results")]) == 2
    assert not (tmp_path / "results").exists()
