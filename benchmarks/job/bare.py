"""One bare forward pass: everything prepared and in memory, nothing done with what comes out."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from benchmarks.job.setting import PRECISION
from ot3l_core.data.features import BATCH_SIZE
from ot3l_core.data.images import ImageSplit
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.names import Precision


def prepared_batches(splits: Sequence[ImageSplit], backbone: Backbone, threads: int) -> list[Tensor]:
    """The splits' pictures as the backbone reads them, channels last, in batches as large as the product's."""

    def prepare(place: tuple[ImageSplit, int]) -> Tensor:
        split, position = place
        return backbone.preprocess(split.images.picture(position))

    places = [(split, position) for split in splits for position in range(len(split))]
    with ThreadPoolExecutor(threads) as pool:
        pictures = list(pool.map(prepare, places))
    return [
        torch.stack(pictures[start : start + BATCH_SIZE]).contiguous(memory_format=torch.channels_last)
        for start in range(0, len(pictures), BATCH_SIZE)
    ]


def seconds_of_a_pass(batches: Sequence[Tensor], backbone: Backbone) -> float:
    """How long the backbone takes for all batches, each shared out among the cores by torch itself."""
    device = backbone.device
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=PRECISION is Precision.BFLOAT16)
    start = time.perf_counter()
    with torch.inference_mode(), autocast:
        for batch in batches:
            backbone.network(batch)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
