"""Labelled images that are decoded when asked for."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ot3l_core.data.decoding import decode_rgb
from ot3l_core.errors import CorruptImageError, ShapeMismatchError

Indices: TypeAlias = NDArray[np.int64]
Pixels: TypeAlias = NDArray[np.uint8]

UNLABELLED = -1
"""Stands where a label would, in a dataset without classes."""


class Images(Protocol):
    """n pictures, readable from several threads at once."""

    def __len__(self) -> int: ...

    def payload(self, index: int) -> bytes:
        """The stored bytes of one sample, from which its picture follows.

        Raises:
            DataError: If the sample cannot be read.
        """
        ...

    def picture(self, index: int) -> Image.Image:
        """One sample in RGB.

        Raises:
            DataError: If the sample cannot be read or decoded; the message names it.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImages:
    """Pictures stored as image files.

    Attributes:
        read: The bytes of the file that holds sample ``index``; safe to call from several threads.
        ids: Names of the n samples, for messages.
        boxes: Part of the file's picture that each sample is, as (left, upper, right, lower) pixels, shape ``(n, 4)``;
            None for whole pictures.
    """

    read: Callable[[int], bytes]
    ids: tuple[str, ...]
    boxes: Indices | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def payload(self, index: int) -> bytes:
        """The bytes of the file, preceded by the box where there is one."""
        stored = self.read(index)
        if self.boxes is None:
            return stored
        return bytes(self.boxes[index].astype("<i8")) + stored

    def picture(self, index: int) -> Image.Image:
        """The decoded picture, cut to its box where there is one."""
        whole = decode_rgb(self.read(index), self.ids[index])
        if self.boxes is None:
            return whole
        left, upper, right, lower = self.boxes[index].tolist()
        if right > whole.width or lower > whole.height:
            raise CorruptImageError(
                f"the box of {self.ids[index]!r} leaves its picture of {whole.width} x {whole.height} pixels: "
                "the annotations belong to another version of it"
            )
        return whole.crop((left, upper, right, lower))


@dataclass(frozen=True, slots=True, eq=False)
class ArrayImages:
    """Pictures stored as one array.

    Attributes:
        pixels: Shape ``(n, h, w)`` for grey or ``(n, h, w, 3)`` for RGB.
    """

    pixels: Pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def payload(self, index: int) -> bytes:
        """The raw pixels, preceded by their shape."""
        shape = "x".join(map(str, self.pixels.shape[1:]))
        return f"uint8 {shape}\n".encode() + bytes(self.pixels[index].tobytes())

    def picture(self, index: int) -> Image.Image:
        """The pixels in RGB."""
        return Image.fromarray(self.pixels[index]).convert("RGB")


@dataclass(frozen=True, slots=True, eq=False)
class _ChosenImages:
    images: Images
    chosen: Indices

    def __len__(self) -> int:
        return len(self.chosen)

    def payload(self, index: int) -> bytes:
        return self.images.payload(int(self.chosen[index]))

    def picture(self, index: int) -> Image.Image:
        return self.images.picture(int(self.chosen[index]))


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """n labelled pictures.

    Attributes:
        images: The pictures.
        labels: Class of each, shape ``(n,)``.
        sample_ids: Name of each, stable over re-reading: its path inside the dataset, or its split and position.
        file_names: Path inside the dataset of the image file that holds each, where there are such files.

    Raises:
        ShapeMismatchError: If they differ in length.
    """

    images: Images
    labels: Indices
    sample_ids: tuple[str, ...]
    file_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.labels) == len(self.sample_ids):
            raise ShapeMismatchError(
                f"every picture needs one label and one id: got {len(self.images)} pictures, "
                f"{len(self.labels)} labels, {len(self.sample_ids)} ids"
            )
        if self.file_names is not None and len(self.file_names) != len(self.sample_ids):
            raise ShapeMismatchError(
                f"every picture needs one file name, or none has any: got {len(self.file_names)} names "
                f"for {len(self.sample_ids)} pictures"
            )

    def __len__(self) -> int:
        return len(self.sample_ids)

    def take(self, indices: Indices) -> Self:
        """A view of the samples at ``indices``, in that order; no picture is copied."""
        match self.images:
            case _ChosenImages(images, before):
                view = _ChosenImages(images, before[indices])
            case images:
                view = _ChosenImages(images, indices)
        chosen = indices.tolist()
        ids = tuple(self.sample_ids[index] for index in chosen)
        names = None if self.file_names is None else tuple(self.file_names[index] for index in chosen)
        return type(self)(view, self.labels[indices], ids, names)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the pictures' stored bytes in order, whatever they are packaged in."""
        overall = hashlib.sha256()
        for index in range(len(self)):
            overall.update(hashlib.sha256(self.images.payload(index)).digest())
        return overall.hexdigest()


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """An image dataset, labelled or not.

    Attributes:
        classes: Class names, in the order of their labels; empty where nothing is labelled.
        pool: What may be trained on or measured.
        test: What is held out, where there is such a split.
    """

    classes: tuple[str, ...]
    pool: ImageSplit
    test: ImageSplit | None

    @property
    def labelled(self) -> bool:
        """Whether its pictures have classes."""
        return bool(self.classes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over classes, pictures and labels of both splits, whatever they are packaged in."""
        splits = [split and (split.digest, _labels_digest(split.labels)) for split in (self.pool, self.test)]
        return hashlib.sha256(json.dumps([self.classes, *splits]).encode()).hexdigest()


def unlabelled_dataset(images: Images, sample_ids: tuple[str, ...], *, in_files: bool = False) -> ImageDataset:
    """A pool of pictures without classes, and without anything held out.

    Args:
        images: n pictures.
        sample_ids: Name of each.
        in_files: Whether these names are those of image files.
    """
    labels = np.full(len(sample_ids), UNLABELLED, dtype=np.int64)
    return ImageDataset((), ImageSplit(images, labels, sample_ids, sample_ids if in_files else None), None)


def _labels_digest(labels: Indices) -> str:
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()
