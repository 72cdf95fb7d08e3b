"""ott-jax: Sinkhorn on dense costs, compiled by XLA for the CPU."""

import jax
import jax.numpy as jnp
import numpy as np
from ott.geometry.epsilon_scheduler import Epsilon
from ott.geometry.geometry import Geometry
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear.acceleration import Momentum
from ott.solvers.linear.sinkhorn import Sinkhorn, SinkhornOutput

from benchmarks.problem import Answer, Fact, Problem, Run

_START = 20


def sinkhorn(
    problem: Problem,
    _threads: int,
    *,
    reg: float,
    threshold: float,
    variant: str = "plain",
    max_iterations: int = 300,
) -> Run:
    """Features in, dual value out; compiled for these shapes outside the clock, like the transport cost of its plan.

    Args:
        problem: What to measure.
        reg: Entropic strength relative to the mean cost.
        threshold: Error of the marginals at which it stops.
        variant: ``plain``; ``annealed`` (its epsilon scheduler); ``momentum`` (constant); ``lehmann`` (adaptive).
        max_iterations: Where it gives up.
    """
    solver = Sinkhorn(
        threshold=threshold,
        max_iterations=max_iterations,
        momentum=_momentum(variant),
        use_danskin=True,
    )

    def solve(x: jax.Array, y: jax.Array, between: jax.Array, rows: jax.Array, columns: jax.Array) -> SinkhornOutput:
        squares = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
        cost = jnp.maximum(squares, 0) + between[rows][:, columns]
        strength = reg * cost.mean()
        annealing = {"init": 50.0, "decay": 0.9} if variant == "annealed" else {}
        return solver(LinearProblem(Geometry(cost, epsilon=Epsilon(strength, **annealing))))

    def dual(*arrays: jax.Array) -> tuple[SinkhornOutput, jax.Array]:
        found = solve(*arrays)
        return found, found.dual_cost

    arrays = _arrays(problem)
    compiled = jax.jit(dual).lower(*arrays).compile()

    def run() -> Answer:
        found, value = jax.block_until_ready(compiled(*arrays))
        return Answer(np.asarray(float(value)), later=lambda: _facts(found))

    return run


def _momentum(variant: str) -> Momentum | None:
    match variant:
        case "momentum":
            return Momentum(value=1.5)
        case "lehmann":
            return Momentum(start=_START)
        case _:
            return None


def _arrays(problem: Problem) -> list[jax.Array]:
    source, target = problem.source, problem.target
    tensors = (source.features, target.features, problem.label_cost, source.labels.int(), target.labels.int())
    return [jnp.asarray(tensor.numpy()) for tensor in tensors]


def _facts(found: SinkhornOutput) -> dict[str, Fact]:
    """Its other answer, the transport cost of its plan, and how it ended."""
    transport, mass = jax.jit(lambda found: (found.primal_cost, found.matrix.sum()))(found)
    return {
        "transport_cost": float(transport),
        "plan_mass": float(mass),
        "iterations": int(found.n_iters),
        "converged": bool(found.converged),
    }
