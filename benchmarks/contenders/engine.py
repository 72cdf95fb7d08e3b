"""Our engine, through its public functions."""

import numpy as np
import torch

from benchmarks.problem import Answer, Fact, Problem, Run
from ot3l_core.names import LabelDistanceMethod, TransportMethod
from ot3l_core.ot import uniform_marginals
from ot3l_core.ot.sinkhorn import sweep
from ot3l_core.otd import dataset_distance, ground_cost, label_distances

_SWEEPS_BEFORE = 10


def labels(problem: Problem, _threads: int, *, method: str) -> Run:
    """Distances between all classes."""

    def run() -> Answer:
        distances = label_distances(problem.source, problem.target, method=LabelDistanceMethod(method))
        return Answer(distances.cpu().numpy())

    return run


def dataset(problem: Problem, _threads: int, *, transport: str = "sinkhorn", tolerance: float = 0.01) -> Run:
    """The transport cost between the datasets (not its root, to compare with peers), with its proof."""

    def run() -> Answer:
        found = dataset_distance(
            problem.source,
            problem.target,
            label_cost=problem.label_cost,
            method=TransportMethod(transport),
            tolerance=tolerance,
        )
        facts: dict[str, Fact] = {
            "gap_percent": found.gap_percent,
            "lower": found.lower**2,
            "iterations": found.n_iterations,
            "converged": found.converged,
        }
        return Answer(np.asarray(found.upper**2), facts=facts)

    return run


def iteration(problem: Problem, _threads: int, *, reg: float) -> Run:
    """One full iteration, rows and columns, at a strength relative to the mean cost, a few iterations under way."""
    cost = ground_cost(problem.source, problem.target, label_cost=problem.label_cost)
    strength = reg * float(cost.mean(dtype=torch.float64))
    marginals = uniform_marginals(cost)
    potentials = (torch.zeros_like(marginals[0]) + cost.double().amin(1), torch.zeros_like(marginals[1]))
    for _ in range(_SWEEPS_BEFORE):
        potentials = sweep(cost, potentials, strength, marginals, 1.0)[0]

    def run() -> Answer:
        return Answer(np.asarray(sweep(cost, potentials, strength, marginals, 1.0)[1]))

    return run
