"""Tunes a small network; as ``tuning_process.py STATE REPORT``, kills itself at that report of its progress."""

import os
import signal
import sys
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ot3l_core.data.images import ArrayImages, ImageSplit
from ot3l_core.finetune.architectures import Architecture
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.heads import HeadLayout, build_head
from ot3l_core.finetune.preprocessing import Preprocessing
from ot3l_core.finetune.tuning import tune
from ot3l_core.finetune.tuning_settings import TuningSettings
from ot3l_core.progress import NOBODY, Listener


def small_backbone():
    """Two convolutions with weights that are the same in every process."""
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Dropout(), nn.Flatten()
    )
    for number, parameter in enumerate(network.parameters()):
        values = np.random.default_rng(number).normal(0.1, 0.2, tuple(parameter.shape)).astype(np.float32)
        parameter.data.copy_(parameter.data.new_tensor(values))
    preprocessing = Preprocessing(16, 1.0, "bilinear", (0.5,) * 3, (0.5,) * 3)
    architecture = Architecture("torchvision", "none")
    return Backbone("small", "0" * 64, 8 * 12 * 12, 0, preprocessing, architecture, network.eval(), nn.Sequential())


def tune_small(state, listener=NOBODY):
    """Three epochs of two steps."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    return tune(
        small_backbone(),
        build_head(HeadLayout(8 * 12 * 12, 4, 3), seed=0),
        ImageSplit(ArrayImages(pixels), np.arange(24) % 3, tuple(map(str, range(24)))),
        settings=TuningSettings(blocks=1, epochs=3, batch_size=12),
        seed=0,
        state=state,
        listener=listener,
    )


if __name__ == "__main__":
    reports = count(1)

    def kill_in_time(_):
        if next(reports) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    tune_small(Path(sys.argv[1]), Listener(kill_in_time))
