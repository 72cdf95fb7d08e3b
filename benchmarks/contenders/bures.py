"""The distance between Gaussians, the ways that a reader of the formula would write it, with 1/n covariances."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import isqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.problem import Answer, Problem, Run
from ot3l_core.data.samples import LabelledSamples

Indices: TypeAlias = npt.NDArray[np.int64]

_BLOCK_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, eq=False)
class _Classes:
    """Means ``(K, D)`` and centred samples ``(K, n, D)`` of equally large classes, float64."""

    means: Tensor
    clouds: Tensor


def pot(problem: Problem, _threads: int, *, seconds: float) -> Run:
    """``ot.gaussian.bures_wasserstein_distance`` for each pair, on as many pairs as take ``seconds``."""
    import ot  # noqa: PLC0415 - the other contenders here do without it

    def run() -> Answer:
        start = time.perf_counter()
        x, y = _classes(problem.source), _classes(problem.target)
        left, right = _covariances(x).numpy(), _covariances(y).numpy()
        fixed = time.perf_counter() - start

        def pair(k: int, j: int) -> float:
            return float(
                ot.gaussian.bures_wasserstein_distance(x.means[k].numpy(), y.means[j].numpy(), left[k], right[j])
            )

        with np.errstate(invalid="ignore"):
            rows, columns = _affordable(pair, (len(left), len(right)), seconds)
            start = time.perf_counter()
            values = np.array([[pair(k, j) for j in columns] for k in rows])
            share = values.size / (len(left) * len(right))
            total = fixed + (time.perf_counter() - start) / share
        return Answer(values, rows, columns, total, {"sampled_pairs": values.size})

    return run


def eigen(problem: Problem, _threads: int, *, seconds: float) -> Run:
    """The root of each source covariance by ``eigh``, then ``eigvalsh`` for each pair; on a sample of pairs."""

    def run() -> Answer:
        start = time.perf_counter()
        x, y = _classes(problem.source), _classes(problem.target)
        left, right = _covariances(x), _covariances(y)
        constant = _constant_terms(x, y).cpu()
        fixed = time.perf_counter() - start

        def pair(root: Tensor, j: int) -> float:
            return float(torch.linalg.eigvalsh(root @ right[j] @ root).clamp(min=0).sqrt().sum())

        n_source, n_target = len(left), len(right)
        some_root = _root(left[0])
        rows, columns = _affordable(lambda _, j: pair(some_root, j), (n_source, n_target), seconds)
        start = time.perf_counter()
        roots = [_root(left[k]) for k in rows]
        fixed += (time.perf_counter() - start) * n_source / len(rows)
        start = time.perf_counter()
        overlaps = torch.tensor([[pair(root, j) for j in columns] for root in roots], dtype=torch.float64)
        total = fixed + (time.perf_counter() - start) * n_source * n_target / overlaps.numel()
        squared = constant[torch.from_numpy(rows)[:, None], torch.from_numpy(columns)] - 2 * overlaps
        return Answer(squared.clamp(min=0).sqrt().numpy(), rows, columns, total, {"sampled_pairs": overlaps.numel()})

    return run


def svdvals(problem: Problem, threads: int, *, pool: bool = False) -> Run:
    """Nuclear norms of the products of centred samples, from batched ``torch.linalg.svdvals`` in float64.

    Args:
        problem: What to measure.
        threads: Workers of the pool.
        pool: Whether blocks run side by side; otherwise one batch after the other.
    """

    def run() -> Answer:
        x, y = _classes(problem.source), _classes(problem.target)
        n, m = x.clouds.shape[1], y.clouds.shape[1]
        flat = y.clouds.flatten(0, 1).T.contiguous()
        n_target = len(y.means)
        # One product, its copy in order of pairs, and what the decomposition overwrites.
        step = max(1, _BLOCK_BYTES // (3 * 8 * n * m * n_target))

        def overlaps(clouds: Tensor) -> Tensor:
            cross = (clouds.flatten(0, 1) @ flat).unflatten(0, (-1, n)).unflatten(2, (n_target, m)).transpose(1, 2)
            return torch.linalg.svdvals(cross.contiguous()).sum(-1)

        blocks = torch.split(x.clouds, step)
        if pool:
            with ThreadPoolExecutor(threads) as workers:
                found = list(workers.map(overlaps, blocks))
        else:
            found = [overlaps(block) for block in blocks]
        squared = _constant_terms(x, y) - 2 * torch.cat(found) / (n * m) ** 0.5
        return Answer(squared.clamp(min=0).sqrt().cpu().numpy())

    return run


def _classes(samples: LabelledSamples) -> _Classes:
    order = torch.argsort(samples.labels, stable=True)
    points = samples.features[order].double().unflatten(0, (samples.n_classes, -1))
    means = points.mean(1)
    return _Classes(means, points - means[:, None])


def _covariances(classes: _Classes) -> Tensor:
    return (classes.clouds.mT @ classes.clouds).div_(classes.clouds.shape[1])


def _constant_terms(x: _Classes, y: _Classes) -> Tensor:
    """All of the squared distance but the overlap, shape ``(K, L)``."""
    left, right = (classes.clouds.square().sum((1, 2)) / classes.clouds.shape[1] for classes in (x, y))
    means = x.means.square().sum(1)[:, None] + y.means.square().sum(1) - 2 * x.means @ y.means.T
    return means + left[:, None] + right


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def _affordable(pair: Callable[[int, int], float], shape: tuple[int, int], seconds: float) -> tuple[Indices, Indices]:
    """Evenly spaced rows and columns whose pairs take about ``seconds``."""
    pair(0, 0)
    start = time.perf_counter()
    pair(shape[0] - 1, shape[1] - 1)
    n_pairs = min(max(4, int(seconds / (time.perf_counter() - start))), shape[0] * shape[1])
    n_columns = min(shape[1], max(2, isqrt(n_pairs)))
    n_rows = min(shape[0], max(2, n_pairs // n_columns))
    rows, columns = (np.linspace(0, n - 1, m).astype(np.int64) for n, m in zip(shape, (n_rows, n_columns), strict=True))
    return rows, columns
