"""The distance between two labelled datasets."""

from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import InvalidSettingError
from ot3l_core.names import TransportMethod
from ot3l_core.ot.exact import exact_transport
from ot3l_core.ot.sinkhorn import sinkhorn_transport
from ot3l_core.otd.coupling import Coupling, summarise
from ot3l_core.otd.ground_cost import ground_cost
from ot3l_core.otd.minibatch import minibatch_coupling
from ot3l_core.otd.validation import require_comparable
from ot3l_core.progress import OnProgress, ignore_progress


@dataclass(frozen=True, slots=True, eq=False)
class DatasetDistance:
    """An optimal transport distance between labelled datasets, with its proof.

    Attributes:
        lower: No plan can be cheaper than this; units of the features.
        upper: A plan that moves one dataset onto the other costs this; units of the features.
        gap_percent: Of the transport cost (the squared distance): ``100 (upper^2 - lower^2) / upper^2``.
        converged: Whether the gap is within the tolerance asked for.
        n_iterations: Sweeps of ``sinkhorn``, batches of ``minibatch``, 0 for ``exact``.
        spread: Standard deviation of the distance over the batches; ``minibatch`` only.
        sample_scores: Cost of each target sample per unit of its mass, shape ``(M,)``, float64; their mean is
            ``upper^2``. Higher is farther.
        class_plan: Mass moved from each source class to each target class, shape ``(K, L)``, float64, sums to 1.
    """

    lower: float
    upper: float
    gap_percent: float
    converged: bool
    n_iterations: int
    spread: float | None
    sample_scores: Tensor
    class_plan: Tensor

    @property
    def value(self) -> float:
        """The distance: the upper bound, for it is what the scores and the class plan belong to."""
        return self.upper


def dataset_distance(
    source: LabelledSamples,
    target: LabelledSamples,
    *,
    label_cost: Tensor,
    method: TransportMethod = TransportMethod.SINKHORN,
    tolerance: float = 0.01,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> DatasetDistance:
    """Square root of the optimal cost of moving ``source`` onto ``target``, without a factor 1/2.

    Every sample has the same mass. ``exact`` solves for the optimum and ``sinkhorn`` for a certified gap;
    ``minibatch`` glues the exact plans of small random batches into one plan, an overestimate for data beyond
    memory. The value is symmetric, ``d(S, T; L) = d(T, S; L^T)``; and but for ``minibatch`` it is 0 between equal
    datasets and does not depend on the order of the samples.

    Args:
        source: N labelled samples.
        target: M labelled samples with the same features.
        label_cost: Squared distance between source class k and target class l, shape ``(K, L)``.
        method: How the transport problem is solved. ``sinkhorn`` sweeps in the features' dtype.
        tolerance: Certified gap to reach, as a share of the transport cost.
        seed: Draws the batches of ``minibatch``.
        on_progress: Called throughout; ``exact`` cannot be interrupted while it solves.

    Raises:
        InvalidSettingError: If the tolerance is not positive.
        ShapeMismatchError: If the features or ``label_cost`` do not fit.
        DataError: If a dataset is empty or a feature is not finite.

    Source:
        alvarez2020geometric.
    """
    if not tolerance > 0:
        raise InvalidSettingError(f"tolerance must be above 0: got {tolerance}", field="tolerance")
    require_comparable(source, target)
    swap = _rank(source) > _rank(target)
    first, second, cost_between = (target, source, label_cost.T) if swap else (source, target, label_cost)
    match method:
        case TransportMethod.EXACT:
            coupling = _exact_coupling(first, second, cost_between, on_progress)
        case TransportMethod.SINKHORN:
            cost = ground_cost(first, second, label_cost=cost_between)
            transport = sinkhorn_transport(cost, tolerance=tolerance, on_progress=on_progress)
            coupling = summarise(transport, cost, first, second)
        case TransportMethod.MINIBATCH:
            coupling = minibatch_coupling(first, second, label_cost=cost_between, seed=seed, on_progress=on_progress)
    certificate = coupling.certificate
    return DatasetDistance(
        lower=sqrt(max(0.0, certificate.lower)),
        upper=sqrt(certificate.upper),
        gap_percent=certificate.gap_percent,
        converged=certificate.gap_percent <= 100 * tolerance,
        n_iterations=coupling.n_iterations,
        spread=coupling.spread,
        sample_scores=coupling.first_scores if swap else coupling.second_scores,
        class_plan=coupling.class_plan.T if swap else coupling.class_plan,
    )


def _rank(samples: LabelledSamples) -> tuple[float, float, float]:
    """A total order that does not see the order of the samples, so that both calling orders solve the same problem."""
    lengths = torch.linalg.vector_norm(samples.features, dim=1, dtype=torch.float64)
    return len(samples), float(samples.features.sum(dtype=torch.float64)), float(lengths.square().sum())


def _exact_coupling(
    first: LabelledSamples, second: LabelledSamples, label_cost: Tensor, on_progress: OnProgress
) -> Coupling:
    precise = [replace(samples, features=samples.features.double()) for samples in (first, second)]
    cost = ground_cost(*precise, label_cost=label_cost)
    coupling = summarise(exact_transport(cost, on_progress=on_progress), cost, first, second)
    on_progress(1.0)
    return coupling
