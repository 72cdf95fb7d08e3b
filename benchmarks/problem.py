"""What every contender is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples

Floats: TypeAlias = npt.NDArray[np.float64]
Fact: TypeAlias = bool | int | float | str

_TINY_CLASSES = 3
_TINY_SAMPLES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Two labelled datasets and the squared distances between their classes, shape ``(K, L)``."""

    source: LabelledSamples
    target: LabelledSamples
    label_cost: Tensor

    def save(self, path: Path) -> None:
        """Write it down for the child processes."""
        np.savez(
            path,
            source=self.source.features.numpy(),
            source_labels=self.source.labels.numpy(),
            target=self.target.features.numpy(),
            target_labels=self.target.labels.numpy(),
            label_cost=self.label_cost.numpy(),
        )

    def tiny(self) -> "Problem":
        """A few samples of a few classes, to compile and load everything on."""
        return Problem(
            _tiny(self.source), _tiny(self.target), self.label_cost[:_TINY_CLASSES, :_TINY_CLASSES].contiguous()
        )

    def to(self, device: torch.device) -> "Problem":
        """The same on another device."""
        source, target = (
            LabelledSamples(samples.features.to(device), samples.labels.to(device), samples.classes)
            for samples in (self.source, self.target)
        )
        return Problem(source, target, self.label_cost.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a contender found.

    Attributes:
        values: One value, shape ``()``, or those of class pairs, shape ``(K, L)`` or of the sample that was run.
        rows: The source classes that were run, where not all were.
        columns: The target classes that were run, where not all were.
        seconds: What all pairs would take, where only a sample was run.
        facts: Whatever else it says of its answer.
        later: Says more when it is asked, after the clock has stopped.
    """

    values: Floats
    rows: npt.NDArray[np.int64] | None = None
    columns: npt.NDArray[np.int64] | None = None
    seconds: float | None = None
    facts: dict[str, Fact] = field(default_factory=dict)
    later: "Callable[[], dict[str, Fact]] | None" = None


Run: TypeAlias = Callable[[], Answer]
"""Features in, value out: the part that is measured."""


def load(path: Path) -> Problem:
    """Read what ``Problem.save`` wrote."""
    with np.load(path) as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
    n_source, n_target = arrays["label_cost"].shape
    source = LabelledSamples(arrays["source"], arrays["source_labels"], names(n_source))
    return Problem(
        source, LabelledSamples(arrays["target"], arrays["target_labels"], names(n_target)), arrays["label_cost"]
    )


def names(n_classes: int) -> tuple[str, ...]:
    """As many class names."""
    return tuple(f"class {k}" for k in range(n_classes))


def by_class(samples: LabelledSamples) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The samples in order of their classes, float64, and where each class begins, shape ``(K + 1,)``."""
    order = torch.argsort(samples.labels, stable=True)
    starts = np.concatenate([[0], np.cumsum(samples.class_counts.numpy())])
    return samples.features[order].double().numpy(), starts


def _tiny(samples: LabelledSamples) -> LabelledSamples:
    kept = torch.cat([torch.nonzero(samples.labels == k).flatten()[:_TINY_SAMPLES] for k in range(_TINY_CLASSES)])
    few = samples.take(kept)
    return LabelledSamples(few.features, few.labels, samples.classes[:_TINY_CLASSES])
