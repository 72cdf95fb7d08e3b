"""A job's settings and figures under names that MLflow takes."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.schemas.jobs import JobCreate, JobResult, PhaseResult
from app.schemas.mlflow import WITHOUT_EFFECT
from ot3l_core.progress import EpochReport

_LONGEST: Final = 500
_NOT_IN_NAMES: Final = re.compile(r"[^\w.\- /]")
_OF_EPOCHS: Final = ("train_loss", "validation_loss", "validation_accuracy")
_OF_PHASES: Final = ("accuracy", "macro_f1", "calibration_error", "log_loss", "brier_loss")


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a run.

    Attributes:
        name: What it is of.
        number: It; finite.
        at: Milliseconds since 1970.
        step: The epoch; 0 for what has none.
    """

    name: str
    number: float
    at: int
    step: int = 0


def params_of(request: JobCreate) -> dict[str, str]:
    """Every setting of a job, defaults filled in, those inside others as ``training.epochs``."""
    settings = {name: value for name, value in request.settings().items() if name not in WITHOUT_EFFECT}
    return {name: _text(value)[:_LONGEST] for name, value in _flat(settings)}


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def metrics_of_epoch(report: EpochReport, *, at: int) -> list[Value]:
    """What an epoch gave; one curve for each seed, and for each alpha that is tried."""
    tried = "" if report.alpha is None else f"/alpha_{report.alpha:g}"
    before = f"{report.phase}/seed_{report.seed}{tried}"
    return _values({f"{before}/{name}": getattr(report, name) for name in _OF_EPOCHS}, at, report.epoch)


def metrics_of_result(result: JobResult, *, at: int) -> list[Value]:
    """The table of the report, means over seeds, and what was measured of the checkpoint."""
    named = {f"{phase.phase}/{name}": _mean(phase, name) for phase in result.phases for name in _OF_PHASES}
    own = {"checkpoint/accuracy": result.checkpoint.accuracy, "selection/size": float(result.selection.size)}
    return _values(named | own, at)


def _mean(phase: PhaseResult, name: str) -> float | None:
    spread = getattr(phase, name)
    return None if spread is None else spread.mean


def _values(numbers: Mapping[str, float | None], at: int, step: int = 0) -> list[Value]:
    return [
        Value(_NOT_IN_NAMES.sub("_", name), number, at, step)
        for name, number in numbers.items()
        if number is not None and math.isfinite(number)
    ]
