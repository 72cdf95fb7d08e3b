"""Findings as a service would have answered them."""

import pytest

from benchmarks.paper.catalogue import SOURCE, TARGETS, Found
from benchmarks.paper.findings import Failure, Findings, Target
from benchmarks.paper.plan import SELECTIONS

CLASSES = [f"class {number}" for number in range(10)]


def phase(name, values):
    spread = {"mean": sum(values) / len(values), "std": None, "interval": None, "values": list(values)}
    return {"phase": name, "accuracy": spread, "macro_f1": spread, "calibration_error": spread}


def job(arm, percents):
    zero_shot = [phase("zero_shot_conditional", [0.5]), phase("zero_shot_nearest", [0.25])]
    return {
        "request": {"strategy": arm},
        "timings": {"reading": 1.0, "embedding": 100.0, "training": 2.0},
        "result": {
            "classes": CLASSES,
            "n_pool": 2000,
            "n_test": 1000,
            "selection": {"size": 1000, "shortfall": 0, "per_class": [100] * 10},
            "phases": [*zero_shot, phase(arm, [percent / 100 for percent in percents])],
        },
    }


def dataset(n_pool=6000, n_test=2000):
    return {"digest": "0" * 64, "result": {"classes": CLASSES, "n_pool": n_pool, "n_test": n_test}}


def target(name, **percents):
    """A target whose jobs reached these accuracies for each seed."""
    known = next(target for target in TARGETS if target.name == name)
    jobs = {arm: job(arm, values) for arm, values in percents.items()}
    return Target(Found(known, {"name": name, "format": "zip", "path": f"{name}.zip"}), dataset(), 1000, jobs)


def distances(upper, lower=None, names=("imagenet", "cifar10", "mnist")):
    return {
        "id": "some-id",
        "request": {"datasets": list(names)},
        "timings": {"measuring": 1.0},
        "result": {
            "datasets": list(names),
            "upper": upper,
            "lower": lower or upper,
            "converged": [[True] * len(names)] * len(names),
        },
    }


@pytest.fixture
def findings():
    """One target as in the paper, one with everything failed but one job, and one data set that is missing."""
    as_in_paper = {"mixed": (84, 85, 86), "set_difference": (80, 81, 82), "random_selection": (77, 78, 79)}
    whole = target("cifar10", **{arm.name: (83, 85, 84) for arm in SELECTIONS} | as_in_paper)
    source = Found(SOURCE, {"name": "imagenet", "format": "zip", "path": "imagenet.zip"})
    return Findings(
        source=source,
        source_dataset=dataset(10_100, 0),
        targets=[whole, target("mnist", uniform=(90, 91, 92))],
        missing=[next(target for target in TARGETS if target.name == "kmnist")],
        distances=distances(
            [[0, 1.5, 1.8], [1.5, 0, 1.7], [1.8, 1.7, 0]], [[0, 1.4, 1.75], [1.4, 0, 1.6], [1.75, 1.6, 0]]
        ),
        heatmaps={".svg": b"<svg/>", ".png": b"picture"},
        failures=[Failure("MNIST: MS", "out of memory | or so")],
        seconds=61.5,
    )
