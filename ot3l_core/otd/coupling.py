"""What a plan between two labelled datasets says about their samples and classes."""

from dataclasses import dataclass

from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.ot.certificate import Certificate
from ot3l_core.ot.plan import Transport
from ot3l_core.ot.tally import tally


@dataclass(frozen=True, slots=True, eq=False)
class Coupling:
    """A plan between two datasets, summed up.

    Attributes:
        certificate: Bounds on the transport cost.
        first_scores: Cost of each sample of the first per unit of its mass, ``sum_j P_ij C_ij / a_i``, shape ``(N,)``.
        second_scores: The same for the second, ``sum_i P_ij C_ij / b_j``, shape ``(M,)``.
        class_plan: Mass moved between classes, shape ``(K, L)``.
        n_iterations: Sweeps or batches.
        spread: Standard deviation of the distance over batches, where there are batches.
    """

    certificate: Certificate
    first_scores: Tensor
    second_scores: Tensor
    class_plan: Tensor
    n_iterations: int
    spread: float | None = None


def summarise(transport: Transport, cost: Tensor, first: LabelledSamples, second: LabelledSamples) -> Coupling:
    """Sum up a plan in which all samples of a dataset have the same mass."""
    shape = (first.n_classes, second.n_classes)
    sums = tally(transport.plan, cost, first.labels, second.labels, shape=shape)
    return Coupling(
        certificate=transport.certificate,
        first_scores=sums.by_row * len(first),
        second_scores=sums.by_column * len(second),
        class_plan=sums.by_group,
        n_iterations=transport.n_iterations,
    )
