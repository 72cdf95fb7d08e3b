"""The usual recipe: torchvision's tutorial on transfer learning, with the network as a fixed feature extractor.

Every epoch passes the selected pictures and then the test split through the whole network, decoded anew by the workers
of a ``DataLoader``; only a new last layer learns. As in the tutorial, arithmetic is float32, and the best epoch on the
split that is evaluated is what counts.
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ot3l_core.data.images import ImageSplit
from ot3l_core.finetune.backbones import Backbone

_BATCH_SIZE = 64
_LEARNING_RATE = 1e-3


class _Pictures(Dataset[tuple[Tensor, int]]):
    def __init__(self, split: ImageSplit, backbone: Backbone) -> None:
        self._split = split
        self._preprocess = backbone.preprocess

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._preprocess(self._split.images.picture(index)), int(self._split.labels[index])


@dataclass(frozen=True, slots=True)
class RecipeRun:
    """One run of the recipe: its seconds, and the accuracy of its best epoch."""

    seconds: float
    accuracy: float


def run_recipe(
    selected: ImageSplit, test: ImageSplit, backbone: Backbone, *, n_classes: int, epochs: int, workers: int, seed: int
) -> RecipeRun:
    """Train a last layer on the frozen backbone."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    training = _loader(_Pictures(selected, backbone), workers, generator)
    testing = _loader(_Pictures(test, backbone), workers, None)
    last = nn.Linear(backbone.feature_dim, n_classes)
    network = nn.Sequential(backbone.network, last)
    optimizer = torch.optim.Adam(last.parameters(), lr=_LEARNING_RATE)
    best = 0.0
    for _ in range(epochs):
        for pictures, labels in training:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(pictures), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        best = max(best, _accuracy(network, testing))
    return RecipeRun(time.perf_counter() - start, best)


@torch.no_grad()
def _accuracy(network: nn.Module, testing: DataLoader[tuple[Tensor, int]]) -> float:
    hits = total = 0
    for pictures, labels in testing:
        hits += int((network(pictures).argmax(dim=1) == labels).sum())
        total += len(labels)
    return hits / total


def _loader(pictures: _Pictures, workers: int, generator: torch.Generator | None) -> DataLoader[tuple[Tensor, int]]:
    return DataLoader(
        pictures,
        batch_size=_BATCH_SIZE,
        shuffle=generator is not None,
        generator=generator,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
