"""A plan for datasets whose cost matrix does not fit: exact plans of random batches, glued together."""

from dataclasses import replace
from statistics import fmean, pstdev

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.ot.certificate import Certificate
from ot3l_core.ot.exact import exact_transport
from ot3l_core.ot.gaussian import gaussian_squared_distance
from ot3l_core.ot.tally import tally
from ot3l_core.otd.coupling import Coupling
from ot3l_core.otd.ground_cost import ground_cost
from ot3l_core.progress import OnProgress, ignore_progress

_BATCH_SIZE = 1024


def minibatch_coupling(
    first: LabelledSamples,
    second: LabelledSamples,
    *,
    label_cost: Tensor,
    seed: int,
    batch_size: int = _BATCH_SIZE,
    on_progress: OnProgress = ignore_progress,
) -> Coupling:
    """Cut both datasets, in random order, into batches of equal mass and solve each pair of batches exactly.

    The batches' plans make up one plan between the whole datasets, so its cost is a proven upper bound, which falls
    as batches grow. The lower bound adds what the moments of the features and the shares of the classes force
    whatever the plan.

    Args:
        first: N labelled samples.
        second: M labelled samples with the same features.
        label_cost: Squared distance between classes, shape ``(K, L)``.
        seed: Draws the order of the samples; the same for both datasets.
        batch_size: Samples of the larger dataset in a batch.
        on_progress: Called after every batch.

    Source:
        fatras2020minibatch; lower bound: gelbrich1990formula, theorem 2.1.
    """
    n_batches = -(-max(len(first), len(second)) // batch_size)
    first_shares = _equal_masses(len(first), n_batches, seed)
    second_shares = _equal_masses(len(second), n_batches, seed)
    shape = (first.n_classes, second.n_classes)
    device = first.features.device
    first_scores = torch.zeros(len(first), dtype=torch.float64, device=device)
    second_scores = torch.zeros(len(second), dtype=torch.float64, device=device)
    class_plan = torch.zeros(shape, dtype=torch.float64, device=device)
    costs, scales = list[float](), list[float]()
    for (rows, row_mass), (columns, column_mass) in zip(first_shares, second_shares, strict=True):
        x, y = _precise(first, rows.to(device)), _precise(second, columns.to(device))
        cost = ground_cost(x, y, label_cost=label_cost)
        transport = exact_transport(cost, (row_mass.to(device), column_mass.to(device)))
        sums = tally(transport.plan, cost, x.labels, y.labels, shape=shape)
        first_scores.index_add_(0, rows.to(device), sums.by_row, alpha=len(first) / n_batches)
        second_scores.index_add_(0, columns.to(device), sums.by_column, alpha=len(second) / n_batches)
        class_plan += sums.by_group / n_batches
        costs.append(transport.value)
        scales.append(transport.certificate.scale)
        on_progress(len(costs) / n_batches)
    upper = fmean(costs)
    certificate = Certificate(min(_lower_bound(first, second, label_cost), upper), upper, fmean(scales))
    spread = pstdev([cost**0.5 for cost in costs])
    return Coupling(certificate, first_scores, second_scores, class_plan, n_batches, spread)


def _precise(samples: LabelledSamples, indices: Tensor) -> LabelledSamples:
    batch = samples.take(indices)
    return replace(batch, features=batch.features.double())


def _equal_masses(n_samples: int, n_batches: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Lay the samples side by side in random order and cut the line into equal lengths.

    A sample on a cut belongs to both batches, by shares, so every sample counts exactly once in total.

    Returns:
        For each batch its samples and their masses, which sum to 1.
    """
    order = torch.randperm(n_samples, generator=torch.Generator().manual_seed(seed))
    shares = []
    for batch in range(n_batches):
        # In units of 1 / (n_samples n_batches), all integers.
        start, stop = batch * n_samples, (batch + 1) * n_samples
        places = torch.arange(start // n_batches, -(-stop // n_batches))
        lengths = (places * n_batches + n_batches).clamp(max=stop) - (places * n_batches).clamp(min=start)
        shares.append((order[places], lengths.double() / n_samples))
    return shares


def _lower_bound(first: LabelledSamples, second: LabelledSamples, label_cost: Tensor) -> float:
    """Moving the features costs at least the Gaussian distance, moving the labels at least their own transport."""
    present = [torch.nonzero(samples.class_counts).flatten() for samples in (first, second)]
    masses = [
        samples.class_counts[k].double() / len(samples) for samples, k in zip((first, second), present, strict=True)
    ]
    between_classes = exact_transport(label_cost.to(masses[0])[present[0][:, None], present[1]], (masses[0], masses[1]))
    return gaussian_squared_distance(first.features, second.features) + between_classes.certificate.lower
