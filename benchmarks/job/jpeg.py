"""Embedding pictures that lie on disk as JPEG files; run as a program, it says how much memory that takes."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.job.setting import BACKBONE, INPUT_SIZE, PRECISION
from benchmarks.machine import held_bytes, peak_bytes
from ot3l_core.data.features import embed
from ot3l_core.data.images import ImageSplit
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.finetune.backbones import Backbone, load_backbone
from ot3l_core.names import DatasetFormat

_QUALITY = 90
_ROOT = Path(__file__).parents[2]


def write_jpegs(split: ImageSplit, folder: Path, count: int) -> ImageSplit:
    """Write pictures of their own size into class folders, and open these with the product's own reader."""
    for position in range(min(count, len(split))):
        place = folder / f"{split.labels[position]:04d}" / f"{position:06d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        split.images.picture(position).save(place, quality=_QUALITY)
    return _open(folder)


def seconds_of_embedding(split: ImageSplit, backbone: Backbone, *, first: int | None = None) -> float:
    """How long the product takes from the stored pictures to their features; of the first few only, if asked."""
    chosen = split if first is None else split.take(np.arange(min(first, len(split))))
    start = time.perf_counter()
    embed(chosen, backbone, device=backbone.device, precision=PRECISION)
    return time.perf_counter() - start


def measure_memory(folder: Path, count: int) -> int:
    """Bytes that a process of its own takes at most to embed ``count`` of the files, less those of the features."""
    command = [sys.executable, "-m", "benchmarks.job.jpeg", str(folder), str(count)]
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - our own module
    return int(done.stdout.splitlines()[-1])


def _open(folder: Path) -> ImageSplit:
    return open_dataset(DatasetSpec(DatasetFormat.IMAGE_FOLDER, folder, test_fraction=0)).pool


def _peak(folder: Path, count: int) -> int:
    """What came on top of the process as it was before, less what it gives back."""
    split, backbone = _open(folder), load_backbone(BACKBONE, input_size=INPUT_SIZE)
    # Spread over the classes, in whose order the files are sorted.
    chosen = split.take(np.linspace(0, len(split) - 1, count).astype(np.int64))
    held = held_bytes()
    features = embed(chosen, backbone, device=torch.device("cpu"), precision=PRECISION)
    return peak_bytes() - held - features.nbytes


if __name__ == "__main__":
    print(_peak(Path(sys.argv[1]), int(sys.argv[2])))
