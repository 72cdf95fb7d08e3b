"""Exact solvers of POT and SciPy, called once for each pair of classes: as a plain loop, or on a pool of workers.

The squared distances of a source class to all samples of the target come from one product, within the clock.
"""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import ot
from scipy.optimize import linear_sum_assignment

from benchmarks.problem import Answer, Floats, Problem, Run, by_class
from ot3l_core.data.samples import LabelledSamples

Solve: TypeAlias = Callable[[Floats], float]
OneClass: TypeAlias = Callable[[int], Floats]

_FORKED: list[OneClass] = []
"""What worker processes inherit rather than receive: the data would travel with every task."""


def emd2(problem: Problem, threads: int, *, workers: str = "none", sample: float = 1.0) -> Run:
    """POT's network simplex, without its checks and its post-processing."""
    return _loop(problem, threads, _emd2, workers, sample)


def assignment(problem: Problem, threads: int, *, workers: str = "none", sample: float = 1.0) -> Run:
    """SciPy's shortest augmenting paths."""
    return _loop(problem, threads, _assignment, workers, sample)


def _emd2(cost: Floats) -> float:
    n, m = cost.shape
    return float(ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), cost, center_dual=False, check_marginals=False))


def _assignment(cost: Floats) -> float:
    return float(cost[linear_sum_assignment(cost)].mean())


def _loop(problem: Problem, threads: int, solve: Solve, workers: str, sample: float) -> Run:
    """All target classes for each source class, or for an evenly spaced share of the source classes."""
    each = _one_class(problem.source, problem.target, solve)
    n_classes = problem.source.n_classes
    rows = np.unique(np.linspace(0, n_classes - 1, max(2, round(sample * n_classes))).astype(np.int64))
    _FORKED[:] = [each]
    pool = _pool(workers, threads)

    def run() -> Answer:
        start = time.perf_counter()
        blocks = list(map(_inherited, rows.tolist()) if pool is None else pool.map(_inherited, rows.tolist()))
        values = np.sqrt(np.maximum(np.stack(blocks), 0))
        if len(rows) == n_classes:
            return Answer(values)
        seconds = (time.perf_counter() - start) * n_classes / len(rows)
        return Answer(values, rows=rows, seconds=seconds, facts={"sampled_pairs": values.size})

    return run


def _one_class(source: LabelledSamples, target: LabelledSamples, solve: Solve) -> OneClass:
    """The squared distances of one source class to every target class."""
    x, x_starts = by_class(source)
    y, y_starts = by_class(target)
    y_squares = np.square(y).sum(1)

    def run(k: int) -> Floats:
        points = x[x_starts[k] : x_starts[k + 1]]
        cost = points @ y.T
        cost *= -2
        cost += np.square(points).sum(1)[:, None]
        cost += y_squares
        np.maximum(cost, 0, out=cost)
        return np.array(
            [solve(np.ascontiguousarray(cost[:, y_starts[j] : y_starts[j + 1]])) for j in range(len(y_starts) - 1)]
        )

    return run


def _inherited(k: int) -> Floats:
    return _FORKED[0](k)


def _pool(workers: str, threads: int) -> Executor | None:
    """A pool that has started: POT's wrapper spends its time under the interpreter's lock, so it gets processes."""
    match workers:
        case "threads":
            return ThreadPoolExecutor(threads)
        case "processes":
            pool = ProcessPoolExecutor(threads, multiprocessing.get_context("fork"))
            list(pool.map(_inherited, range(threads)))
            return pool
        case _:
            return None
