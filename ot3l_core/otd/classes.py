"""A dataset as one cloud of points for each class."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.ot.gaussian import triangular_factor


@dataclass(frozen=True, eq=False)
class ClassClouds:
    """The classes of a dataset; whatever several distances need is worked out once.

    Attributes:
        points: Class after class, shape ``(N, D)``.
        means: Shape ``(K, D)``, float64.
        counts: Points of each class, all above 0, shape ``(K,)``.
    """

    points: Tensor
    means: Tensor
    counts: Tensor

    @cached_property
    def spreads(self) -> Tensor:
        """Mean squared distance to the mean of each class, its overlap with itself, shape ``(K,)``, float64."""
        return torch.stack([self.cloud(k).square().sum() / len(self._split[k]) for k in range(len(self.counts))])

    @cached_property
    def clouds(self) -> tuple[Tensor, ...]:
        """The centred points of each class, shapes ``(n_k, D)``, in the dtype of the features."""
        return tuple(self.cloud(k).to(self.points) for k in range(len(self.counts)))

    @cached_property
    def factors(self) -> tuple[Tensor, ...]:
        """What stands for a cloud where only its second moments count, of at most D rows."""
        return tuple(triangular_factor(self.cloud(k)).to(self.points) for k in range(len(self.counts)))

    def cloud(self, k: int) -> Tensor:
        """The centred points of class k, float64."""
        return self._split[k].double() - self.means[k]

    @cached_property
    def _split(self) -> tuple[Tensor, ...]:
        return torch.split(self.points, self.counts.tolist())


def class_clouds(samples: LabelledSamples, *, role: str = "dataset") -> ClassClouds:
    """Take a dataset apart.

    Args:
        samples: Every class needs a sample.
        role: What to call the dataset in errors.

    Raises:
        MissingClassError: If a class has no samples.
    """
    samples.require_every_class(role)
    counts = samples.class_counts
    points = samples.features[torch.argsort(samples.labels, stable=True)]
    if points.dtype in {torch.float16, torch.bfloat16}:
        points = points.float()
    means = torch.stack([own.mean(0, dtype=torch.float64) for own in torch.split(points, counts.tolist())])
    return ClassClouds(points, means, counts)
