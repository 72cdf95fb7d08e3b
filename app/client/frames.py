"""Results as pandas data frames; pandas is imported when the first one is made."""

import io
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from app.client.errors import MissingPackageError
from app.schemas.datasets import ClassRead, DatasetSummary
from app.schemas.distances import ClassDistance, MatrixResult, PairResult
from app.schemas.events import MetricsRead
from app.schemas.jobs import JobResult
from app.schemas.work import Reply

if TYPE_CHECKING:
    from pandas import DataFrame

_MEASURED = ("alpha", "epoch", "train_loss", "validation_loss", "validation_accuracy")
_TEXT = ("sample", "label", "predicted", "reason", "id", "file", "group")
"""Columns of our tables that hold names, also where these look like numbers or like nothing."""


def results_frame(result: JobResult) -> "DataFrame":
    """One row for each way of classifying the test split.

    Columns: ``accuracy``, ``macro_f1``, ``calibration_error``, ``log_loss`` and ``brier_loss``, means over the seeds;
    ``accuracy_std`` and ``accuracy_interval``, the half-width of the 95% interval; ``n_seeds``. Index: ``phase``.
    """
    rows = [
        {
            "phase": phase.phase,
            "accuracy": phase.accuracy.mean,
            "accuracy_std": phase.accuracy.std,
            "accuracy_interval": phase.accuracy.interval,
            "macro_f1": phase.macro_f1.mean,
            "calibration_error": phase.calibration_error.mean,
            "log_loss": phase.log_loss.mean if phase.log_loss else None,
            "brier_loss": phase.brier_loss.mean if phase.brier_loss else None,
            "n_seeds": len(phase.accuracy.values),
        }
        for phase in result.phases
    ]
    made = frame(rows).set_index("phase")
    return made.astype({name: "float64" for name in made.columns if name != "n_seeds"})


def classes_frame(found: DatasetSummary) -> "DataFrame":
    """One row for each class: samples to select from (``pool``) and to test on (``test``). Index: ``name``."""
    return bodies_frame(ClassRead, found.classes, "name")


def class_distances_frame(distances: Sequence[ClassDistance]) -> "DataFrame":
    """One row for each target class: ``score``, ``nearest_source``, ``nearest_distance``. Index: ``name``."""
    return bodies_frame(ClassDistance, distances, "name")


def label_distances_frame(result: PairResult) -> "DataFrame":
    """Distance from each source class (row) to each target class (column), in feature units."""
    pandas = _pandas()
    made: DataFrame = pandas.DataFrame(
        result.label_distances,
        index=pandas.Index(result.source_classes, name="source"),
        columns=pandas.Index(result.target_classes, name="target"),
    )
    return made


def matrix_frame(result: MatrixResult) -> "DataFrame":
    """Distance between each two datasets; symmetric."""
    made: DataFrame = _pandas().DataFrame(result.upper, index=result.datasets, columns=result.datasets)
    return made


def curves_frame(metrics: MetricsRead) -> "DataFrame":
    """One row for each epoch of each training."""
    rows: list[Mapping[str, object]] = []
    for curve in metrics.curves:
        told = zip(curve.epoch, curve.train_loss, curve.validation_loss, curve.validation_accuracy, strict=True)
        rows += [
            {
                "phase": curve.phase.value,
                "seed": curve.seed,
                "alpha": curve.alpha,
                "epoch": epoch,
                "train_loss": train_loss,
                "validation_loss": validation_loss,
                "validation_accuracy": validation_accuracy,
            }
            for epoch, train_loss, validation_loss, validation_accuracy in told
        ]
    # Columns in which nothing was measured are numbers too.
    return frame(rows, ("phase", "seed", *_MEASURED)).astype(dict.fromkeys(_MEASURED, "float64")).astype({"epoch": int})


def table_frame(content: bytes) -> "DataFrame":
    """A table that the service made, such as ``predictions.csv``; names stay text, whatever they look like."""
    pandas = _pandas()
    names = io.BytesIO(content).readline().decode().strip().split(",")
    text = [name for name in names if name in _TEXT]
    made: DataFrame = pandas.read_csv(
        io.BytesIO(content),
        dtype=dict.fromkeys(text, "str"),
        keep_default_na=False,
        na_values={name: [""] for name in names if name not in {"sample", "label", "predicted"}},
    )
    return made


def bodies_frame(kind: type[Reply], bodies: Iterable[Reply], index: str) -> "DataFrame":
    """One row for each body, one column for each of its fields."""
    return frame([body.model_dump(mode="json") for body in bodies], kind.model_fields).set_index(index)


def frame(rows: Sequence[Mapping[str, object]], columns: Iterable[str] | None = None) -> "DataFrame":
    """A data frame of rows; its columns are those of the first row unless they are given.

    Raises:
        MissingPackageError: If there is no pandas.
    """
    made: DataFrame = _pandas().DataFrame(rows, columns=None if columns is None else list(columns))
    return made


def _pandas() -> ModuleType:
    try:
        return import_module("pandas")
    except ImportError as error:
        raise MissingPackageError("Data frames need pandas: pip install pandas.") from error
