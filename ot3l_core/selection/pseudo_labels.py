"""What can stand for the classes of samples that nobody has labelled."""

from typing import Final

import torch
from torch import Tensor

from ot3l_core.errors import InvalidSettingError
from ot3l_core.names import PoolLabels
from ot3l_core.selection.geometry import selection_space
from ot3l_core.selection.quantisation import cluster

_SAMPLES_PER_CLASS: Final = 10
_MOST_CLASSES: Final = 100


def default_n_classes(n_samples: int) -> int:
    """How many pseudo-classes n samples get: one for every ten samples, 2 at least and 100 at most."""
    return min(max(n_samples // _SAMPLES_PER_CLASS, 2), _MOST_CLASSES)


def pseudo_labels(features: Tensor, source_outputs: Tensor, *, kind: PoolLabels, n_classes: int, seed: int) -> Tensor:
    """Divide samples into pseudo-classes, without a look at any label.

    Args:
        features: Shape ``(n, D)``.
        source_outputs: The backbone's logits for its original classes, shape ``(n, Z)``.
        kind: ``clusters``: those of k-means in the selection space. ``predictions``: the original class that the
            backbone finds most likely among those that it predicts most often.
        n_classes: How many at most, at least 1.
        seed: Of the first centres.

    Returns:
        Pseudo-class of each sample, int64 in ``[0, c)`` with no class empty, ``c <= n_classes``, shape ``(n,)``.

    Raises:
        InvalidSettingError: If ``kind`` asks for given labels.
    """
    match kind:
        case PoolLabels.CLUSTERS:
            labels = cluster(selection_space(features), min(n_classes, len(features)), seed=seed)
        case PoolLabels.PREDICTIONS:
            predicted = source_outputs.argmax(dim=1)
            frequent = torch.bincount(predicted, minlength=source_outputs.shape[1]).argsort(
                descending=True, stable=True
            )
            labels = source_outputs[:, frequent[:n_classes].sort().values].argmax(dim=1)
        case PoolLabels.GIVEN:
            raise InvalidSettingError(
                "labels that are given need no stand-in: choose 'clusters' or 'predictions'", field="pool_labels"
            )
    ranks: Tensor = torch.unique(labels.cpu(), return_inverse=True)[1]
    return ranks
