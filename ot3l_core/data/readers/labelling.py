"""Stored class numbers or names -> labels."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ot3l_core.data.images import Indices
from ot3l_core.errors import DatasetLayoutError

Stored: TypeAlias = NDArray[np.int64] | NDArray[np.str_]


def encode_labels(
    stored: Sequence[Stored], names: Sequence[str] | None, *, field: str
) -> tuple[tuple[str, ...], list[Indices]]:
    """Classes, and the labels of each split.

    Args:
        stored: What each split holds: all integers or all strings, shape ``(n,)``.
        names: Names of the classes 0, 1, ...; None to name each after its own value, in ascending order.
        field: The setting to blame.

    Raises:
        DatasetLayoutError: If a number has no name.
    """
    together = np.concatenate(stored)
    if names is None:
        values = np.unique(together)
        return tuple(str(value) for value in values.tolist()), [np.searchsorted(values, split) for split in stored]
    if len(set(names)) < len(names):
        raise DatasetLayoutError("two classes have the same name: name each differently", field=field)
    if together.dtype.kind != "i":
        raise DatasetLayoutError("classes are named apart, so the labels must be their numbers from 0", field=field)
    if len(together) and not 0 <= together.min() <= together.max() < len(names):
        raise DatasetLayoutError(
            f"labels must lie in [0, {len(names)}), the named classes: got {together.min()} to {together.max()} "
            "(-1 usually stands for samples without a label: leave these out)",
            field=field,
        )
    return tuple(names), [split.astype(np.int64) for split in stored]


def positions(split: str, count: int) -> tuple[str, ...]:
    """Ids for samples that have no name but a place in their split."""
    return tuple(f"{split}/{position:06d}" for position in range(count))
