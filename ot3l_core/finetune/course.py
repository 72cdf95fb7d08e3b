"""Which pictures are trained on when, and how each is varied."""

import math
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ot3l_core.data.ahead import DECODING_THREADS, compute_ahead
from ot3l_core.data.images import ImageSplit, Indices
from ot3l_core.finetune.augmentation import Augmentation, augment
from ot3l_core.finetune.preprocessing import Preprocessing, prepare

Loaded = tuple[Tensor, Tensor]
"""Inputs ``(b, 3, h, w)``, float32, and labels ``(b,)``, int64, on the CPU."""

_SAMPLES_TO_BEGIN_WITH = 1024
_ORDER, _PICTURE, _LAYERS = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pictures that go through a network together.

    Attributes:
        positions: Where they are in the split, shape ``(b,)``.
        epoch: In which they are varied; None for pictures as they are.
    """

    positions: Indices
    epoch: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The whole of a training's pictures: a function of these fields alone, so that it can be entered at any epoch.

    Attributes:
        pictures: The selected samples.
        fit: Positions of those to train on, shape ``(n,)``.
        held_out: Positions of those to validate on.
        batch_size: Pictures in a batch, at most.
        augmentation: What is varied.
        seed: Of orders and variations.
    """

    pictures: ImageSplit
    fit: Indices
    held_out: Indices
    batch_size: int
    augmentation: Augmentation
    seed: int

    @property
    def n_steps(self) -> int:
        """Training batches an epoch."""
        return math.ceil(len(self.fit) / self.batch_size)

    @property
    def n_batches(self) -> int:
        """Training and validation batches an epoch."""
        return self.n_steps + math.ceil(len(self.held_out) / self.batch_size)

    def training(self, epoch: int) -> list[Batch]:
        """All training pictures once, in an order of the epoch's own."""
        return self._batches(self._random(_ORDER, epoch).permutation(self.fit), epoch)

    def validation(self) -> list[Batch]:
        """The pictures held out, as they are."""
        return self._batches(self.held_out, None)

    def sample(self) -> list[Batch]:
        """Some training pictures, as they are."""
        return self._batches(self._random(_ORDER, 0).permutation(self.fit)[:_SAMPLES_TO_BEGIN_WITH], None)

    def layers_seed(self, epoch: int) -> int:
        """For what a network itself draws during an epoch: dropout and stochastic depth."""
        return int(self._random(_LAYERS, epoch).integers(2**63))

    def load(
        self, batches: Iterable[Batch], preprocessing: Preprocessing, *, threads: int = DECODING_THREADS
    ) -> Generator[Loaded, None, None]:
        """Inputs and labels of each batch, decoded ahead by several threads."""
        return compute_ahead(partial(self._load, preprocessing=preprocessing), batches, threads=threads)

    def _load(self, batch: Batch, preprocessing: Preprocessing) -> Loaded:
        inputs = [self._input(position, batch.epoch, preprocessing) for position in batch.positions.tolist()]
        return torch.stack(inputs), torch.from_numpy(self.pictures.labels[batch.positions])

    def _input(self, position: int, epoch: int | None, preprocessing: Preprocessing) -> Tensor:
        picture = self.pictures.images.picture(position)
        if epoch is None:
            return prepare(picture, preprocessing)
        return augment(picture, preprocessing, self.augmentation, self._random(_PICTURE, epoch, position))

    def _batches(self, positions: Indices, epoch: int | None) -> list[Batch]:
        # As equal as can be: a last batch of one picture would move the weights as far as a whole one.
        n_batches = math.ceil(len(positions) / self.batch_size)
        return [Batch(part, epoch) for part in np.array_split(positions, n_batches)] if n_batches else []

    def _random(self, purpose: int, epoch: int, position: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, epoch, position])
