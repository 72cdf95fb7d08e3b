"""Images -> feature vectors, each image once, and a cache of the result."""

import hashlib
import os
import uuid
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from ot3l_core.data.images import ImageSplit
from ot3l_core.errors import ShapeMismatchError
from ot3l_core.names import Precision
from ot3l_core.progress import OnProgress, ignore_progress

_THREADS = min(8, os.cpu_count() or 1)
_BATCHES_AHEAD = _THREADS + 2
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
        """Features of a batch ``(b, 3, h, w)`` on the device of the weights, shape ``(b, D)``."""
        ...


def embed(
    split: ImageSplit,
    embedder: Embedder,
    *,
    device: torch.device,
    precision: Precision,
    batch_size: int = 64,
    on_progress: OnProgress = ignore_progress,
) -> Tensor:
    """Features of every picture of a split.

    Pictures are decoded by several threads while the device works. Batches are formed by position alone, so that the
    result does not depend on which thread was faster.

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
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is Precision.BFLOAT16)
    done = 0
    with torch.inference_mode(), autocast, closing(_batches(split, embedder, batch_size)) as batches:
        for batch in batches:
            found = embedder.embed(batch.to(device, memory_format=torch.channels_last))
            if found.shape != (len(batch), embedder.feature_dim):
                raise ShapeMismatchError(
                    f"the embedder promised features of shape {(len(batch), embedder.feature_dim)}: "
                    f"got {tuple(found.shape)}"
                )
            features[done : done + len(batch)] = found.to("cpu", torch.float32)
            done += len(batch)
            on_progress(done / len(split))
    return features


def _batches(split: ImageSplit, embedder: Embedder, batch_size: int) -> Generator[Tensor, None, None]:
    """Batches in order, a bounded number of them prepared ahead."""

    def prepare(start: int) -> Tensor:
        stop = min(start + batch_size, len(split))
        return torch.stack([embedder.preprocess(split.images.picture(index)) for index in range(start, stop)])

    waiting: deque[Future[Tensor]] = deque()
    starts = iter(range(0, len(split), batch_size))
    own_parallelism = torch.get_num_threads()
    try:
        # One core for each: teams of threads on the same cores wait for each other, here up to forty times longer.
        with ThreadPoolExecutor(_THREADS, "decode", torch.set_num_threads, (1,)) as threads:
            try:
                waiting.extend(threads.submit(prepare, start) for start in islice(starts, _BATCHES_AHEAD))
                while waiting:
                    yield waiting.popleft().result()
                    waiting.extend(threads.submit(prepare, start) for start in islice(starts, 1))
            finally:
                for batch in waiting:
                    batch.cancel()
    finally:
        # What one thread sets for itself is also what later threads start with.
        torch.set_num_threads(own_parallelism)


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
        unfinished = self.root / f".{key}.{uuid.uuid4().hex}"
        try:
            save_file({"features": features}, unfinished, metadata={"sha256": _content_digest(features)})
            unfinished.replace(self._file(key))
        finally:
            unfinished.unlink(missing_ok=True)

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
    batch_size: int = 64,
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
