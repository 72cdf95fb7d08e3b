"""Images -> feature vectors, each image once, and a cache of the result."""

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from ot3l_core.data.ahead import compute_ahead
from ot3l_core.data.images import ImageSplit
from ot3l_core.data.writing import written_beside
from ot3l_core.errors import ShapeMismatchError
from ot3l_core.names import Precision
from ot3l_core.progress import OnProgress, ignore_progress

BATCH_SIZE = 32
"""Pictures a forward pass: more of them no longer fit a core's cache, fewer leave it to wait for Python."""

_MOST_THREADS = 16
# While one batch is computed on a device, the next one travels there.
_FORWARD_PASSES_ON_A_DEVICE = 2
_CACHE_VERSION = "ot3l-features-1"


class Embedder(Protocol):
    """The frozen part of a network with its preprocessing."""

    @property
    def name(self) -> str:
        """What its users call it."""
        ...

    @property
    def digest(self) -> str:
        """Identity of architecture, weights and preprocessing, in hex."""
        ...

    @property
    def feature_dim(self) -> int:
        """D."""
        ...

    def preprocess(self, picture: Image.Image) -> Tensor:
        """One RGB picture as float32, shape ``(3, h, w)`` the same h and w for all; called from several threads."""
        ...

    def embed(self, batch: Tensor) -> Tensor:
        """Features of a batch ``(b, 3, h, w)``, shape ``(b, D)``; called from several threads."""
        ...


def embed(
    split: ImageSplit,
    embedder: Embedder,
    *,
    device: torch.device,
    precision: Precision,
    batch_size: int = BATCH_SIZE,
    on_progress: OnProgress = ignore_progress,
) -> Tensor:
    """Features of every picture of a split.

    Each batch is decoded and embedded by one thread, and as many threads work as torch may use cores: cores that share
    out every layer of one batch would wait for each other after each. Batches are formed by position alone, so that the
    result does not depend on which thread was faster, and no more of them are in memory than there are threads.

    Args:
        split: n pictures.
        embedder: What maps them; its weights are on ``device`` already.
        device: Where the forward pass runs.
        precision: Arithmetic of the forward pass.
        batch_size: Pictures a forward pass.
        on_progress: Called after every batch; what it raises stops the work.

    Returns:
        Shape ``(n, D)``, float32, on the CPU.

    Raises:
        DataError: If a picture cannot be read; the message names it.
        ShapeMismatchError: If the embedder breaks its promise on shapes.
    """
    features = torch.empty((len(split), embedder.feature_dim))
    is_bfloat16 = precision is Precision.BFLOAT16
    n_threads = _n_threads(device)
    passes = BoundedSemaphore(n_threads if device.type == "cpu" else min(n_threads, _FORWARD_PASSES_ON_A_DEVICE))

    def embed_batch(positions: range) -> Tensor:
        batch = _prepare(split, embedder, positions)
        with passes, torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=is_bfloat16):
            found = embedder.embed(batch.to(device, memory_format=torch.channels_last))
            return found.to("cpu", torch.float32)

    batches = (range(start, min(start + batch_size, len(split))) for start in range(0, len(split), batch_size))
    done = 0
    cores_each = max(1, torch.get_num_threads() // n_threads)
    with closing(compute_ahead(embed_batch, batches, threads=n_threads, cores_each=cores_each)) as embedded:
        for found in embedded:
            expected = (min(batch_size, len(split) - done), embedder.feature_dim)
            if found.shape != expected:
                raise ShapeMismatchError(
                    f"the embedder promised features of shape {expected}: got {tuple(found.shape)}"
                )
            features[done : done + len(found)] = found
            done += len(found)
            on_progress(done / len(split))
    return features


def _n_threads(device: torch.device) -> int:
    """As many as torch may use cores; to feed a device, as many as there are."""
    cores = torch.get_num_threads() if device.type == "cpu" else os.cpu_count() or 1
    return min(cores, _MOST_THREADS)


def _prepare(split: ImageSplit, embedder: Embedder, positions: range) -> Tensor:
    pictures = (embedder.preprocess(split.images.picture(position)) for position in positions)
    first = next(pictures)
    batch = torch.empty((len(positions), *first.shape), memory_format=torch.channels_last)
    batch[0] = first
    for slot, prepared in zip(batch[1:], pictures, strict=True):
        slot.copy_(prepared)
    return batch


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """Features in files below a folder, each named by what it was computed from.

    Attributes:
        root: The folder; made when first needed.
    """

    root: Path

    def load(self, key: str) -> Tensor | None:
        """What was stored under ``key``; None if nothing was, or if it is not what was written."""
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - not needed without a cache

        try:
            with safe_open(self._file(key), framework="pt") as stored:
                features: Tensor = stored.get_tensor("features")
                intact = (stored.metadata() or {}).get("sha256") == _content_digest(features)
        except (OSError, SafetensorError):
            return None
        return features if intact else None

    def store(self, key: str, features: Tensor) -> None:
        """Keep float32 features under ``key``: wholly or not at all, also when others store it too."""
        from safetensors.torch import save_file  # noqa: PLC0415

        self.root.mkdir(parents=True, exist_ok=True)
        with written_beside(self._file(key)) as unfinished:
            save_file({"features": features}, unfinished, metadata={"sha256": _content_digest(features)})

    def _file(self, key: str) -> Path:
        return self.root / f"{key}.safetensors"


def _content_digest(features: Tensor) -> str:
    return hashlib.sha256(features.contiguous().numpy().data).hexdigest()


def cached_features(
    split: ImageSplit,
    embedder: Embedder,
    *,
    cache: FeatureCache,
    device: torch.device,
    precision: Precision,
    batch_size: int = BATCH_SIZE,
    on_progress: OnProgress = ignore_progress,
) -> Tensor:
    """``embed``, unless the same pictures went through the same embedder before.

    Arguments, result and errors are those of ``embed``. The cache knows pictures, embedder and precision; device and
    batch size only move the last bits.
    """
    parts = f"{_CACHE_VERSION}\n{split.digest}\n{embedder.digest}\n{precision.value}"
    key = hashlib.sha256(parts.encode()).hexdigest()
    features = cache.load(key)
    if features is None or features.shape != (len(split), embedder.feature_dim):
        features = embed(
            split, embedder, device=device, precision=precision, batch_size=batch_size, on_progress=on_progress
        )
        cache.store(key, features)
    on_progress(1.0)
    return features
