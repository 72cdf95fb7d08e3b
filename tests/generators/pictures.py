"""Tiny labelled datasets of random pictures, written in every format that the core reads.

``Tree`` maps class names to lists of uint8 arrays, ``(h, w)`` or ``(h, w, 3)``; ``Splits`` maps ``"train"`` and
``"test"`` to trees. A lone ``""`` split is a tree that is not divided.
"""

import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

Picture: TypeAlias = NDArray[np.uint8]
Tree: TypeAlias = Mapping[str, Sequence[Picture]]
Splits: TypeAlias = Mapping[str, Tree]


def random_pictures(count: int, *, seed: int = 0, shape: tuple[int, ...] = (6, 5, 3)) -> list[Picture]:
    """Pictures of noise."""
    return list(np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8))


def random_tree(counts: Mapping[str, int], *, seed: int = 0, shape: tuple[int, ...] = (6, 5, 3)) -> Tree:
    """Classes of noise, no two pictures alike."""
    pictures = iter(random_pictures(sum(counts.values()), seed=seed, shape=shape))
    return {name: [next(pictures) for _ in range(count)] for name, count in counts.items()}


def separable_tree(counts: Mapping[str, int], *, seed: int = 0, side: int = 8) -> Tree:
    """Classes that differ in brightness, so that something can be learnt from them."""
    rng = np.random.default_rng(seed)
    levels = np.linspace(30, 225, len(counts))
    return {
        name: list(np.clip(rng.normal(level, 12, (count, side, side, 3)), 0, 255).astype(np.uint8))
        for level, (name, count) in zip(levels, counts.items(), strict=True)
    }


def encoded(picture: Picture, image_format: str = "PNG", **options: object) -> bytes:
    """A picture as the bytes of an image file."""
    stream = BytesIO()
    Image.fromarray(picture).save(stream, image_format, **options)
    return stream.getvalue()


def files_of(splits: Splits) -> dict[str, bytes]:
    """The PNG files of a tree, by relative name."""
    return {
        "/".join(filter(None, (split, name, f"{position:04d}.png"))): encoded(picture)
        for split, tree in splits.items()
        for name, pictures in tree.items()
        for position, picture in enumerate(pictures)
    }


def write_image_folder(root: Path, splits: Splits) -> Path:
    """Class folders of PNG files."""
    for name, content in files_of(splits).items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


def write_zip(path: Path, splits: Splits, *, top: str = "", compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """The same class folders in a zip, below one folder if ``top`` names it."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files_of(splits).items():
            archive.writestr(f"{top}/{name}" if top else name, content)
    return path


def write_parquet(folder: Path, splits: Splits, *, image: str = "image", label: str = "label", rows: int = 4) -> Path:
    """One file a split, PNG bytes and class numbers, with the metadata of Hugging Face and several row groups."""
    folder.mkdir(parents=True, exist_ok=True)
    classes = sorted({name for tree in splits.values() for name in tree})
    features = {image: {"_type": "Image"}, label: {"names": classes, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split, tree in splits.items():
        named = [(name, picture) for name in sorted(tree) for picture in tree[name]]
        pictures = [{"bytes": encoded(picture), "path": None} for _, picture in named]
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        labels = pa.array([classes.index(name) for name, _ in named], pa.int64())
        table = pa.table({image: pa.array(pictures, kind), label: labels}).replace_schema_metadata(metadata)
        pq.write_table(table, folder / f"{split or 'train'}.parquet", row_group_size=rows)
    return folder


def write_shards(
    root: Path, splits: Splits, *, shards: int = 2, folder: str = "data", named: bool = True, rows: int = 3
) -> Path:
    """Numbered shards of each split as the hub has them, a class number a row; ``named`` puts names into the schema."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    classes = sorted({name for tree in splits.values() for name in tree})
    features = {"image": {"_type": "Image"}, "label": {"names": classes, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if named else None
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    for split, tree in splits.items():
        listed = [(classes.index(name), picture) for name in sorted(tree) for picture in tree[name]]
        size = -(-len(listed) // shards)
        for number in range(shards):
            part = listed[number * size : (number + 1) * size]
            pictures = [{"bytes": encoded(picture), "path": "x.png"} for _, picture in part]
            labels = pa.array([label for label, _ in part], pa.int64())
            table = pa.table({"image": pa.array(pictures, kind), "label": labels}).replace_schema_metadata(metadata)
            path = root / folder / f"{split}-{number:05d}-of-{shards:05d}.parquet"
            pq.write_table(table, path, row_group_size=rows)
    return root


def write_npz(path: Path, splits: Splits) -> Path:
    """Arrays ``x``, ``y`` or ``x_train``, ``y_train``, ``x_test``, ``y_test``, and ``classes``."""
    classes = sorted({name for tree in splits.values() for name in tree})
    arrays: dict[str, NDArray[np.generic]] = {"classes": np.array(classes)}
    for split, tree in splits.items():
        suffix = f"_{split}" if split else ""
        arrays[f"x{suffix}"], arrays[f"y{suffix}"] = _stacked(tree, classes)
    np.savez(path, **arrays)
    return path


def write_mnist_layout(root: Path, splits: Splits, *, kind: str = "MNIST") -> Path:
    """The idx files of torchvision's MNIST family; classes are numbered in sorted order, pictures are grey."""
    folder = root / kind / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    classes = sorted({name for tree in splits.values() for name in tree})
    for split, part in (("train", "train"), ("test", "t10k")):
        pixels, labels = _stacked(splits[split], classes)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(_idx(pixels))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(_idx(labels.astype(np.uint8)))
    return root


def write_coco(
    root: Path, photographs: Sequence[Picture], objects: Sequence[Mapping[str, object]], categories: Sequence[str]
) -> Path:
    """Photographs 1, 2, ... below ``root/photographs`` and their objects in ``root/annotations.json``."""
    folder = root / "photographs"
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for number, picture in enumerate(photographs, start=1):
        file = f"{number:012d}.png"
        (folder / file).write_bytes(encoded(picture))
        images.append({"id": number, "file_name": file, "height": picture.shape[0], "width": picture.shape[1]})
    content = {
        "images": images,
        "annotations": [{"id": number, **item} for number, item in enumerate(objects, start=1)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories, start=1)],
    }
    annotations = root / "annotations.json"
    annotations.write_text(json.dumps(content))
    return annotations


def _stacked(tree: Tree, classes: Sequence[str]) -> tuple[Picture, NDArray[np.int64]]:
    named = [(classes.index(name), picture) for name in sorted(tree) for picture in tree[name]]
    return np.stack([picture for _, picture in named]), np.array([label for label, _ in named], dtype=np.int64)


def _idx(array: Picture) -> bytes:
    unsigned_bytes = 8
    header = struct.pack(f">HBB{array.ndim}I", 0, unsigned_bytes, array.ndim, *array.shape)
    return header + array.tobytes()
