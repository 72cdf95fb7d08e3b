"""Seeded draws and the division of a budget among classes."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Labels: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]

# One stream of random bits for each purpose: ``mixed`` draws the same far samples as ``set_difference``.
FAR, NEAR, UNIFORM, STRATIFIED, REMAINDER = range(5)


def draw(n: int, seed: int, stream: int) -> Indices:
    """A random order of ``n`` things, from raw bits: numpy keeps these, but not its permutations, for ever."""
    bits = np.random.PCG64(np.random.SeedSequence([seed % 2**64, stream])).random_raw(n)
    return np.argsort(bits, kind="stable")


def even_quotas(pool: Labels, n_classes: int, budget: int, seed: int) -> Labels:
    """How many of each class fill a budget evenly, as far as classes last; classes drawn at random get the remainder.

    Args:
        pool: Class of each sample, shape ``(n,)``.
        n_classes: L.
        budget: How many in all, where there are as many.
        seed: Draws the classes that get one more.

    Returns:
        Shape ``(L,)``; sums to ``min(budget, n)``.
    """
    counts = np.bincount(pool, minlength=n_classes)
    quotas = np.zeros_like(counts)
    missing = min(budget, len(pool))
    while missing >= (n_open := int((quotas < counts).sum())) > 0:
        quotas += np.minimum(counts - quotas, missing // n_open)
        missing = min(budget, len(pool)) - int(quotas.sum())
    drawn = draw(n_classes, seed, REMAINDER)
    quotas[drawn[quotas[drawn] < counts[drawn]][:missing]] += 1
    return quotas


def stratified(pool: Labels, n_classes: int, budget: int, seed: int) -> Indices:
    """Random samples of every class, as many of each as fill the budget evenly."""
    quotas = even_quotas(pool, n_classes, budget, seed)
    order = draw(len(pool), seed, STRATIFIED)
    return np.concatenate([order[pool[order] == label][: quotas[label]] for label in range(n_classes)])
