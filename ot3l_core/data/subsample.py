"""Fewer samples with the same mixture of classes."""

import numpy as np

from ot3l_core.data.images import Indices
from ot3l_core.data.splitting import random_ranks
from ot3l_core.errors import InvalidSettingError


def stratified_subsample(labels: Indices, size: int, seed: int) -> Indices:
    """Choose samples at random, each class in proportion to its share.

    Counts follow the largest-remainder rule, except that every class present keeps one sample where ``size`` allows.

    Args:
        labels: Class of each sample, shape ``(n,)``.
        size: How many to choose; from n on, all are.
        seed: Decides which.

    Returns:
        Ascending indices, shape ``(min(size, n),)``.

    Raises:
        InvalidSettingError: If ``size`` is below 1.
    """
    if size < 1:
        raise InvalidSettingError(f"a subsample needs at least 1 sample: got {size}", field="size")
    if size >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    _, present, counts = np.unique(labels, return_inverse=True, return_counts=True)
    wanted = _apportion(counts, size, seed)
    return np.flatnonzero(random_ranks(present, seed) < wanted[present])


def _apportion(counts: Indices, size: int, seed: int) -> Indices:
    """Split ``size`` over classes by largest remainder, ties at random, then lift empty classes to one."""
    wanted, remainders = np.divmod(counts * size, counts.sum())
    ties = np.random.PCG64([seed, 1]).random_raw(len(counts))
    largest_first = np.lexsort((ties, -remainders))
    wanted[largest_first[: size - wanted.sum()]] += 1
    if size >= len(counts):
        for empty in np.flatnonzero(wanted == 0):
            wanted[np.argmax(wanted)] -= 1
            wanted[empty] = 1
    return wanted
