"""Holding out a test split, the same on every machine."""

import numpy as np

from ot3l_core.data.images import Indices

_SEED = 20200908  # any constant: the split belongs to the data, not to a run


def stratified_split(labels: Indices, fraction: float) -> tuple[Indices, Indices]:
    """Divide samples into a pool and a test split, class by class.

    Of a class with m samples, ``round(fraction * m)`` are held out, but at least one stays in the pool.

    Args:
        labels: Class of each sample, shape ``(n,)``.
        fraction: Share to hold out, in [0, 1).

    Returns:
        Indices of the pool and of the test split, each ascending; together they are all n.
    """
    held_out = np.array([max(min(round(fraction * m), m - 1), 0) for m in np.bincount(labels).tolist()], dtype=np.int64)
    in_test = random_ranks(labels, _SEED) < held_out[labels]
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def random_ranks(labels: Indices, seed: int) -> Indices:
    """Place of each sample in a random order of its class, from 0, shape ``(n,)``.

    Sorts by the generator's raw output, because numpy keeps that stream the same from release to release, which it
    does not promise for its permutations.
    """
    keys = np.random.PCG64(seed).random_raw(len(labels))
    counts = np.bincount(labels)
    ranks = np.empty_like(labels)
    ranks[np.lexsort((keys, labels))] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks
