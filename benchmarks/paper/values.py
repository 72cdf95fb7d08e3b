"""What the paper reports, as far as it is known to us: nothing here is guessed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any

from benchmarks.paper.catalogue import SOURCE, TARGETS
from benchmarks.paper.plan import MS, RS, SD

MARGIN = (5.5, 8.4)
"""MS is said to lie above RS by this many points, at least and at most."""

_TARGETS = frozenset(target.name for target in TARGETS)
_DATA_SETS = _TARGETS | {SOURCE.name}
_TABLE_3 = frozenset({SD.name, RS.name, MS.name})


class PaperValuesError(ValueError):
    """A file of values is not as it should be."""


@dataclass(frozen=True, slots=True)
class PaperValues:
    """Accuracies in percent by target, and distances by pair of data sets.

    Attributes:
        table_2: Zero-shot.
        table_3: By strategy.
        table_4: Extended fine-tuning.
        figure_2: Distances.
    """

    table_2: Mapping[str, float] = field(default_factory=dict)
    table_3: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    table_4: Mapping[str, float] = field(default_factory=dict)
    figure_2: Mapping[frozenset[str], float] = field(default_factory=dict)


KNOWN = PaperValues(
    table_3={
        "fashion-mnist": {SD.name: 77.3, RS.name: 74.9, MS.name: 82.9},
        "cifar10": {SD.name: 80.1, RS.name: 76.9, MS.name: 84.9},
    }
)


def with_file(known: PaperValues, path: Path) -> PaperValues:
    """The known values and those of a file; the file decides where both have one.

    The file is JSON: ``{"table_2": {target: percent}, "table_3": {target: {strategy: percent}}, "table_4": {target:
    percent}, "figure_2": {data set: {data set: distance}}}``; every part and every entry may be left out.

    Raises:
        PaperValuesError: If it is no such file.
    """
    try:
        given = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PaperValuesError(f"{path.name} cannot be read as JSON: {error}") from error
    tables = _object(given, {"table_2", "table_3", "table_4", "figure_2"}, "the file")
    strategies = {
        target: _numbers(row, _TABLE_3, f"table_3 of {target}")
        for target, row in _object(tables.get("table_3", {}), _TARGETS, "table_3").items()
    }
    rows = _object(tables.get("figure_2", {}), _DATA_SETS, "figure_2")
    distances = {
        frozenset({first, second}): distance
        for first, row in rows.items()
        for second, distance in _numbers(row, _DATA_SETS - {first}, f"figure_2 of {first}").items()
    }
    return replace(
        known,
        table_2={**known.table_2, **_numbers(tables.get("table_2", {}), _TARGETS, "table_2")},
        table_3={
            target: {**known.table_3.get(target, {}), **strategies.get(target, {})}
            for target in known.table_3.keys() | strategies
        },
        table_4={**known.table_4, **_numbers(tables.get("table_4", {}), _TARGETS, "table_4")},
        figure_2={**known.figure_2, **distances},
    )


def as_json(values: PaperValues) -> dict[str, Any]:
    """The values, laid out as in a file of values."""
    distances: dict[str, dict[str, float]] = {}
    for first, second in combinations(sorted(_DATA_SETS), 2):
        distance = values.figure_2.get(frozenset({first, second}))
        if distance is not None:
            distances.setdefault(first, {})[second] = distance
    return {
        "table_2": dict(values.table_2),
        "table_3": {target: dict(row) for target, row in values.table_3.items()},
        "table_4": dict(values.table_4),
        "figure_2": distances,
    }


def _numbers(given: object, names: frozenset[str], where: str) -> dict[str, float]:
    numbers = _object(given, names, where)
    for name, value in numbers.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
            raise PaperValuesError(f"{where}: {name} must be a number: got {value!r}")
    return numbers


def _object(given: object, names: frozenset[str] | set[str], where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise PaperValuesError(f"{where} must be an object with some of {', '.join(sorted(names))}: got {given!r}")
    if unknown := given.keys() - names:
        raise PaperValuesError(f"{where} has no place for {min(unknown)!r}: choose from {', '.join(sorted(names))}")
    return given
