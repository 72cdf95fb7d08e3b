"""Results as data frames."""

import sys

import pytest

from app.client import MissingPackageError
from app.client.frames import (
    class_distances_frame,
    curves_frame,
    frame,
    label_distances_frame,
    matrix_frame,
    table_frame,
)
from app.schemas.distances import ClassDistance, MatrixResult, PairResult
from app.schemas.events import MetricsRead

NEAREST = {"name": "b", "score": 1.5, "nearest_source": "1", "nearest_distance": 1.0}


def test_distances_have_classes_and_datasets_as_names():
    whole = {"value": 1, "lower": 1, "upper": 1, "gap_percent": 0, "converged": True, "n_iterations": 1, "spread": None}
    facts = {"dataset_distance": whole, "classes": [NEAREST], "rank_stability": None, "n_source": 1, "n_target": 1}
    pair = PairResult(source_classes=["1", "2"], target_classes=["b"], label_distances=[[1.0], [2.0]], **facts)
    assert label_distances_frame(pair).loc["2", "b"] == 2.0
    assert class_distances_frame([ClassDistance(**NEAREST)]).loc["b", "nearest_source"] == "1"
    square = [[0.0, 1.0], [1.0, 0.0]]
    matrix = MatrixResult(
        datasets=["x", "y"],
        n_samples=[1, 1],
        upper=square,
        lower=square,
        gap_percent=square,
        converged=[[True, True], [True, True]],
        order=[0, 1],
        merges=[],
        nearest=[],
    )
    assert matrix_frame(matrix).loc["x", "y"] == 1.0


def test_curves_are_numbers_also_where_nothing_was_measured():
    curve = {"phase": "training", "seed": 0, "alpha": None, "epoch": [1, 2], "train_loss": [2.0, None]}
    nothing = {"validation_loss": [None, None], "validation_accuracy": [None, 0.5]}
    found = curves_frame(MetricsRead(attempt=1, timings={}, curves=[curve | nothing]))
    assert found["epoch"].tolist() == [1, 2]
    assert [str(kind) for kind in found.dtypes[["alpha", "train_loss", "validation_loss"]]] == ["float64"] * 3
    assert curves_frame(MetricsRead(attempt=1, timings={}, curves=[])).empty


def test_what_looks_like_a_number_or_like_nothing_is_a_name():
    found = table_frame(b"seed,sample,label,reason,score\n0,007,None,far,1.5\n1,8,NA,near,\n")
    assert found["sample"].tolist() == ["007", "8"]
    assert found["label"].tolist() == ["None", "NA"]
    assert found["score"].isna().tolist() == [False, True]
    assert found["seed"].tolist() == [0, 1]


def test_without_pandas_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match="pip install pandas"):
        frame([])
