"""Cutting a validation split from the samples that were selected."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FEWEST: Final = 50


def validation_split(labels: Tensor, fraction: float, *, seed: int) -> tuple[Tensor, Tensor]:
    """Divide n samples into those to train on and those to validate on, class by class.

    ``round(fraction * n)`` samples are held out, each class giving its share and keeping at least
    one. Fewer than 50, or fewer than one for each class that is there, would choose an epoch by chance and are missed
    in training: then none are held out.

    Args:
        labels: Class of each sample, shape ``(n,)``.
        fraction: Share to hold out, in [0, 1).
        seed: Of the draw.

    Returns:
        Indices to train on and to validate on, each ascending; together they are all n.
    """
    classes = labels.cpu().numpy()
    counts = np.bincount(classes)
    n_held_out = round(fraction * len(classes))
    everything = torch.arange(len(classes))
    if n_held_out < max(_FEWEST, int((counts > 0).sum())):
        return everything, everything[:0]
    shares = _share_out(counts, n_held_out)
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    grouped = shuffled[np.argsort(classes[shuffled], kind="stable")]
    starts = np.cumsum(counts) - counts
    rank_in_class = np.arange(len(classes)) - np.repeat(starts, counts)
    held_out = np.zeros(len(classes), dtype=bool)
    held_out[grouped] = rank_in_class < np.repeat(shares, counts)
    mask = torch.from_numpy(held_out)
    return everything[~mask], everything[mask]


def _share_out(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Largest remainders: shares of ``total`` in proportion to ``counts``, each leaving one sample behind."""
    exact = counts * (total / counts.sum())
    shares = np.floor(exact).astype(np.int64)
    shares[np.argsort(shares - exact, kind="stable")[: total - int(shares.sum())]] += 1
    capped: NDArray[np.int64] = np.minimum(shares, np.maximum(counts - 1, 0))
    return capped
