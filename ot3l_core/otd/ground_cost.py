"""The cost of moving one labelled sample onto another."""

from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import ShapeMismatchError
from ot3l_core.ot.cost import GroupCost, squared_distances


def ground_cost(source: LabelledSamples, target: LabelledSamples, *, label_cost: Tensor) -> Tensor:
    """Cost of moving each source sample onto each target sample.

    ``C[i, j] = |x_i - x'_j|^2 + label_cost[y_i, y'_j]``; both terms are squared distances in feature units.

    Args:
        source: N labelled samples.
        target: M labelled samples with the same D features.
        label_cost: Squared distance between source class k and target class l, shape ``(K, L)``.

    Returns:
        Non-negative cost, shape ``(N, M)``, in the dtype of the features and on their device.

    Raises:
        ShapeMismatchError: If the feature dimensions differ or ``label_cost`` does not fit the classes.

    Source:
        alvarez2020geometric, eq. 3.
    """
    shape = (source.n_classes, target.n_classes)
    if tuple(label_cost.shape) != shape:
        raise ShapeMismatchError(
            f"label_cost must have a row for each source class and a column for each target class, {shape}: "
            f"got {tuple(label_cost.shape)}"
        )
    between = GroupCost(source.labels, target.labels, label_cost)
    return squared_distances(source.features, target.features, extra=between)
