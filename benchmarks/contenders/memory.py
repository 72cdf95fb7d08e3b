"""Reading the ground cost once, by whatever reads fastest."""

import numba
import numpy as np
import numpy.typing as npt

from benchmarks.problem import Answer, Problem, Run
from ot3l_core.otd import ground_cost


@numba.njit(parallel=True, fastmath=True)
def compiled_sum(matrix: npt.NDArray[np.float32]) -> float:
    """Sum of all entries, rows side by side on all threads."""
    total = 0.0
    for i in numba.prange(matrix.shape[0]):
        row = np.float32(0)
        for j in range(matrix.shape[1]):
            row += matrix[i, j]
        total += row
    return total


def compiled(problem: Problem, threads: int) -> Run:
    """A compiled loop."""
    numba.set_num_threads(threads)
    cost = ground_cost(problem.source, problem.target, label_cost=problem.label_cost).numpy()
    return lambda: Answer(np.asarray(compiled_sum(cost)))


def torch_sum(problem: Problem, _threads: int) -> Run:
    """``torch.sum``."""
    cost = ground_cost(problem.source, problem.target, label_cost=problem.label_cost)
    return lambda: Answer(np.asarray(float(cost.sum())))
