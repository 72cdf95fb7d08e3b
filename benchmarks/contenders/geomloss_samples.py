"""geomloss: annealed Sinkhorn on dense costs."""

import numpy as np
import torch
from geomloss import SamplesLoss
from torch import Tensor

from benchmarks.problem import Answer, Problem, Run
from ot3l_core.data.samples import LabelledSamples


def samples_loss(problem: Problem, _threads: int, *, reg: float, scaling: float = 0.5) -> Run:
    """``SamplesLoss`` with the label cost in its cost function and the biased (entropic) value.

    Its own costs are halved squared distances; this cost function is not, so its value compares with the others as
    it is. Its diameter is handed over, for it would otherwise count the label column in.

    Args:
        problem: What to measure.
        reg: Its final temperature ``blur**2``, relative to the mean cost; looked up outside the clock.
        scaling: Ratio of consecutive blurs.
    """
    source, target, label_cost = problem.source, problem.target, problem.label_cost
    n_source = source.n_classes
    # Classes of both datasets side by side, because geomloss asks for the cost in both directions.
    between = label_cost.new_zeros(sum(label_cost.shape), sum(label_cost.shape))
    between[:n_source, n_source:] = label_cost
    between[n_source:, :n_source] = label_cost.T

    def cost(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([_cost(one, other, between) for one, other in zip(x, y, strict=True)])

    blur = (reg * _mean_cost(problem)) ** 0.5

    def run() -> Answer:
        x, y = _with_labels(source, 0), _with_labels(target, n_source)
        reach = _largest_norm(source) + _largest_norm(target)
        diameter = float((reach**2 + label_cost.max()).sqrt())
        loss = SamplesLoss(
            "sinkhorn",
            p=2,
            blur=blur,
            scaling=scaling,
            diameter=diameter,
            cost=cost,
            debias=False,
            backend="tensorized",
        )
        with torch.no_grad():
            value = loss(x, y)
        return Answer(np.asarray(float(value)), facts={"blur": blur})

    return run


def _cost(x: Tensor, y: Tensor, between: Tensor) -> Tensor:
    rows, columns = x[:, -1].long(), y[:, -1].long()
    x, y = x[:, :-1], y[:, :-1]
    squares = torch.addmm(y.square().sum(1), x, y.T, alpha=-2).add_(x.square().sum(1)[:, None]).clamp_(min=0)
    return squares.add_(between[rows][:, columns])


def _with_labels(samples: LabelledSamples, offset: int) -> Tensor:
    return torch.cat([samples.features, (samples.labels + offset)[:, None].to(samples.features)], dim=1)


def _largest_norm(samples: LabelledSamples) -> Tensor:
    return torch.linalg.vector_norm(samples.features, dim=1).max()


def _mean_cost(problem: Problem) -> float:
    """In closed form, from first and second moments and the shares of the classes."""
    source, target = problem.source, problem.target
    squares = sum(float(samples.features.square().sum(1).mean()) for samples in (source, target))
    product = float(source.features.mean(0) @ target.features.mean(0))
    shares = [samples.class_counts.to(problem.label_cost) / len(samples) for samples in (source, target)]
    return squares - 2 * product + float(shares[0] @ problem.label_cost @ shares[1])
