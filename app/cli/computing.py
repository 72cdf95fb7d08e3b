"""The one module of ``app`` that computes, and so the only one that may reach the core's computing parts and torch.

``ot3l predict`` and ``ot3l doctor`` import it when they run, on the machine of whoever types them; no part of the
service does, at any time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from ot3l_core.catalogue import DEFAULT_BACKBONE, find_backbone
from ot3l_core.data.decoding import IMAGE_SUFFIXES, decode_rgb
from ot3l_core.errors import CoreError, DatasetNotFoundError
from ot3l_core.finetune.checkpoints import LoadedCheckpoint, load_checkpoint
from ot3l_core.finetune.published import describe

BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Classified:
    """What a network takes an image for.

    Attributes:
        image: Its path.
        classes: The likeliest first, each with its calibrated probability.
        error: Why it could not be read; then there are no classes.
    """

    image: Path
    classes: tuple[tuple[str, float], ...] = ()
    error: str | None = None


def images_below(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, and all images below folders, by name.

    Raises:
        DatasetNotFoundError: If one of the paths is not there, or there is no image at all.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DatasetNotFoundError(f"there is no file or folder {str(path)!r}")
        found += sorted(filter(_is_image, path.rglob("*"))) if path.is_dir() else [path]
    if not found:
        raise DatasetNotFoundError(f"there is no image below {', '.join(map(str, paths))}")
    return found


def classify(checkpoint: Path, images: Sequence[Path], *, top: int) -> Iterator[Classified]:
    """Classify images with the network of a checkpoint, on the GPU where there is one.

    Args:
        checkpoint: A file of `ot3l download`.
        images: Their paths; what cannot be read is told and does not stop the others.
        top: How many classes to tell of each.

    Raises:
        CheckpointError: If the file is no checkpoint.
    """
    loaded = load_checkpoint(checkpoint)
    loaded.network.to(_device())
    for start in range(0, len(images), BATCH):
        yield from _classify_batch(loaded, images[start : start + BATCH], top)


def describe_device() -> str:
    """What networks run on here."""
    if torch.cuda.is_available():
        return f"GPU: {torch.cuda.get_device_name()}"
    return f"CPU, {torch.get_num_threads()} threads (PyTorch {torch.__version__})"


def describe_weights() -> str:
    """Which pretrained weights are here.

    Raises:
        WeightsUnavailableError: If the default backbone's are not.
    """
    describe(find_backbone(DEFAULT_BACKBONE)).find_weights()
    kept = [*Path(torch.hub.get_dir(), "checkpoints").glob("*.pth")]
    return f"{DEFAULT_BACKBONE}, and {len(kept)} downloaded"


def _classify_batch(loaded: LoadedCheckpoint, images: Sequence[Path], top: int) -> list[Classified]:
    pictures, errors = {}, {}
    for path in images:
        try:
            pictures[path] = decode_rgb(path.read_bytes(), path.name)
        except (CoreError, OSError) as error:
            errors[path] = str(error)
    shares = loaded.predict(list(pictures.values())).cpu()
    names = loaded.metadata.classes
    best = dict(zip(pictures, (_best(row, min(top, len(names))) for row in shares), strict=True))
    return [
        Classified(path, error=errors[path])
        if path in errors
        else Classified(path, tuple((names[index], share) for share, index in best[path]))
        for path in images
    ]


def _best(shares: Tensor, top: int) -> list[tuple[float, int]]:
    found = shares.topk(top)
    return list(zip(found.values.tolist(), found.indices.tolist(), strict=True))


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")
