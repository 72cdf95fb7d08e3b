"""Labelled feature vectors: what distances, selection and training work on."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ot3l_core.errors import MissingClassError, ShapeMismatchError


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSamples:
    """N samples of D features, each with one of K classes.

    Attributes:
        features: Shape ``(N, D)``, floating point, finite.
        labels: Shape ``(N,)``, int64 in ``[0, K)``.
        classes: The K class names, in the order of their labels.

    Raises:
        ShapeMismatchError: If the shapes do not fit each other or a label has no class.
    """

    features: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.labels.shape != self.features.shape[:1]:
            raise ShapeMismatchError(
                f"features must be (N, D) and labels (N,): got {tuple(self.features.shape)} "
                f"and {tuple(self.labels.shape)}"
            )
        if self.labels.numel() and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ShapeMismatchError(
                f"labels must lie in [0, {len(self.classes)}): got {int(self.labels.min())} to {int(self.labels.max())}"
            )

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    @property
    def n_features(self) -> int:
        """D."""
        return int(self.features.shape[1])

    @property
    def n_classes(self) -> int:
        """K, counting classes without samples."""
        return len(self.classes)

    @property
    def class_counts(self) -> Tensor:
        """Samples of each class, shape ``(K,)``."""
        return torch.bincount(self.labels, minlength=self.n_classes)

    def take(self, indices: Tensor) -> Self:
        """The samples at ``indices``, with the same classes."""
        return type(self)(self.features[indices], self.labels[indices], self.classes)

    def require_every_class(self, role: str) -> None:
        """Refuse classes without samples, whose distances would be undefined.

        Args:
            role: What these samples are, for the message: ``source`` or ``target``.

        Raises:
            MissingClassError: If a class has no samples.
        """
        empty = torch.nonzero(self.class_counts == 0).flatten().tolist()
        if empty:
            named = ", ".join(repr(self.classes[k]) for k in empty[:5])
            raise MissingClassError(
                f"{len(empty)} of the {self.n_classes} {role} classes have no samples ({named}): "
                "drop these classes or add samples to them",
                field=role,
            )
