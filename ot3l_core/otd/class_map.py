"""The classes of two datasets as points of a plane."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.otd.classes import class_clouds
from ot3l_core.otd.validation import require_comparable

_AXES = 2
# Of the extent of all means: what is smaller came of rounding, and is not drawn.
_NOISE = 1e-12
# Loadings as near to the largest as this are as large: which of them comes out on top is rounding.
_TIE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ClassMap:
    """Class means, projected onto the plane in which they differ most.

    No two points are farther apart than the means that they stand for.

    Attributes:
        source: Shape ``(K, 2)``, in feature units, float64; the points of both datasets have their mean at the origin.
        target: Shape ``(L, 2)``, in the same plane.
        explained: Share of the means' variance that the plane shows, in [0, 1]; 1 where all means are equal.
    """

    source: Tensor
    target: Tensor
    explained: float


def class_map(source: LabelledSamples, target: LabelledSamples) -> ClassMap:
    """Draw the classes of two datasets in one plane.

    The points are the first two principal components of all K + L class means, every class counting alike. The largest
    loading of each axis is positive, so that neither the order of the classes nor a shift of all features changes it.
    Axes along which the means do not differ are 0 throughout.

    Args:
        source: Samples of K classes.
        target: Samples of L classes, with the same features on the same scale.

    Raises:
        ShapeMismatchError: If the feature dimensions differ.
        DataError: If a class has no samples or a feature is not finite.

    Source:
        METHOD section 2.
    """
    require_comparable(source, target)
    means = torch.cat([class_clouds(source, role="source").means, class_clouds(target, role="target").means]).cpu()
    # First less one of them: what is equal is then exactly at the origin.
    rest = means - means[0]
    rest = rest - rest.mean(0)
    total = float(rest.square().sum())
    columns, floor = [], _NOISE * total**0.5
    for _ in range(_AXES):
        axis = _strongest_direction(rest)
        column = rest @ axis
        if float(torch.linalg.vector_norm(column)) <= floor:
            column = torch.zeros_like(column)
        columns.append(column)
        # One at a time: a second axis that is far weaker than the first would drown in its rounding.
        rest = rest - column[:, None] * axis
    points = torch.stack(columns, dim=1)
    explained = min(1.0, float(points.square().sum()) / total) if total > 0 else 1.0
    return ClassMap(points[: source.n_classes], points[source.n_classes :], explained)


def _strongest_direction(rows: Tensor) -> Tensor:
    """The unit vector along which centred rows vary most, shape ``(D,)``."""
    direction: Tensor
    if len(rows) < rows.shape[1]:
        # The smaller of the two matrices of products tells the same.
        direction = rows.T @ torch.linalg.eigh(rows @ rows.T).eigenvectors[:, -1]
        length = torch.linalg.vector_norm(direction)
        direction = direction / length if length > 0 else direction
    else:
        direction = torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -1]
    loadings = direction.abs()
    largest = int(torch.nonzero(loadings >= (1 - _TIE) * loadings.max())[0])
    return -direction if direction[largest] < 0 else direction
