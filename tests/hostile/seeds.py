"""Valid files of every format that is read, small enough to be damaged thousands of times."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ot3l_core.data.readers.cifar import CIFAR
from tests.generators.pictures import (
    encoded,
    files_of,
    random_pictures,
    random_tree,
    write_coco,
    write_image_folder,
    write_mnist_layout,
)

PICTURE_FORMATS = {"PNG": {}, "JPEG": {"progressive": True}, "GIF": {}, "TIFF": {}, "WEBP": {}, "BMP": {}, "PPM": {}}
TREE = {"": random_tree({"ant": 2, "bee": 2}, shape=(3, 3))}
DIGITS = {split: random_tree({"0": 2, "1": 2}, shape=(28, 28)) for split in ("train", "test")}


def pictures():
    """One of every kind of image file."""
    picture = random_pictures(1, shape=(12, 12, 3))[0]
    return [encoded(picture, name, **options) for name, options in PICTURE_FORMATS.items()]


def zips():
    """Class folders, stored and deflated."""
    return [packed_zip(files_of(TREE), method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]


def packed_zip(files, method=zipfile.ZIP_DEFLATED):
    """A zip of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def packed_tar(files, layout):
    """A tar of these files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=layout) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def archives():
    """Everything that is unpacked."""
    files = {"ant/0.png": b"zero" * 20, "bee/" + "long" * 30 + ".png": b"one"}
    plain = [packed_tar(files, layout) for layout in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)]
    packers = (gzip.compress, bz2.compress, lzma.compress)
    return [packed_zip(files), *plain, *(pack(plain[0]) for pack in packers)]


def npzs():
    """Arrays, stored and deflated, with strings and without."""
    stored, deflated = io.BytesIO(), io.BytesIO()
    pixels, labels = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3), np.array([0, 1, 0, 1])
    np.savez(stored, x=pixels, y=labels, classes=np.array(["ant", "bee"]))
    np.savez_compressed(deflated, x_train=pixels, y_train=labels.astype(str), x_test=pixels, y_test=labels.astype(str))
    return [stored.getvalue(), deflated.getvalue()]


def parquets():
    """Tables with structs and bytes, with dictionaries and without."""
    files = [encoded(picture) for picture in random_pictures(4, shape=(3, 3, 3))]
    structs = pa.array(
        [{"bytes": file, "path": None} for file in files], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    tables = [
        (pa.table({"image": structs, "label": pa.array([0, 1, 0, 1])}), {"row_group_size": 2}),
        (pa.table({"img": files, "label": ["ant", "bee"] * 2}), {"use_dictionary": False, "compression": "gzip"}),
        (pa.table({"img": files, "label": ["ant", "bee"] * 2}), {"data_page_version": "2.0", "compression": "zstd"}),
    ]
    written = []
    for table, options in tables:
        stream = io.BytesIO()
        pq.write_table(table, stream, **options)
        written.append(stream.getvalue())
    return written


def annotations():
    """COCO's, for the photographs that ``lay_out`` adds."""
    objects = [{"image_id": number, "category_id": number, "bbox": [0, 0.5, 2, 2]} for number in (1, 2)]
    with tempfile.TemporaryDirectory() as folder:
        return [write_coco(Path(folder), random_pictures(2), objects, ("ant", "bee")).read_bytes()]


def pickles():
    """What CIFAR's files are, in one: pixels, labels and names."""
    content = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1], "label_names": ["ant", "bee"]}
    return [pickle.dumps(content, protocol) for protocol in (2, 4)]


def digits():
    """MNIST's pictures of digits."""
    with tempfile.TemporaryDirectory() as folder:
        return [(write_mnist_layout(Path(folder), DIGITS) / "MNIST/raw/train-images-idx3-ubyte").read_bytes()]


SEEDS = {
    "picture": pictures,
    "zip": zips,
    "npz": npzs,
    "parquet": parquets,
    "coco": annotations,
    "cifar": pickles,
    "mnist": digits,
    "archive": archives,
}
"""Makers of valid files, by what reads them."""


def lay_out(kind, content, folder):
    """Put one file where its reader looks for it.

    Returns:
        The request that registers it; for an archive that is unpacked, its path.
    """
    match kind:
        case "picture":
            root = write_image_folder(folder / "tree", TREE)
            (root / "ant" / "hostile.png").write_bytes(content)
            return {"format": "image_folder", "path": str(root)}
        case "coco":
            write_coco(folder, random_pictures(2), [], ())
            (folder / "annotations.json").write_bytes(content)
            return {
                "format": "coco",
                "path": str(folder / "photographs"),
                "annotations": str(folder / "annotations.json"),
            }
        case "cifar":
            (folder / CIFAR["CIFAR10"].folder).mkdir()
            for file in CIFAR["CIFAR10"].files:
                (folder / file).write_bytes(content)
            return {"format": "torchvision", "dataset": "CIFAR10", "root": str(folder)}
        case "mnist":
            write_mnist_layout(folder, DIGITS)
            (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(content)
            return {"format": "torchvision", "dataset": "MNIST", "root": str(folder)}
        case _:
            (folder / f"hostile.{kind}").write_bytes(content)
            return {"format": kind, "path": str(folder / f"hostile.{kind}")}
