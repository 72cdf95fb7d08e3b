"""Folders with links, pipes and strange names, annotations that name other files, and torchvision's files."""

import bz2
import json
import os
import pickle
import struct

import numpy as np

from tests.generators.pictures import random_pictures, random_tree, write_coco, write_image_folder, write_mnist_layout


class Payload:
    """Ends whoever unpickles it."""

    def __reduce__(self):
        return os._exit, (66,)


def tree(change):
    """A folder of classes to which something is done."""

    def write(folder):
        root = write_image_folder(folder / "tree", {"": random_tree({"ant": 2, "bee": 2})})
        change(root)
        return {"format": "image_folder", "path": str(root)}

    return write


def many_links(root):
    for number in range(40):
        (root / "ant" / f"up{number}").symlink_to(root, target_is_directory=True)


def only_pickles(folder):
    (folder / "tree" / "ant").mkdir(parents=True)
    (folder / "tree" / "ant" / "a.pkl").write_bytes(pickle.dumps(Payload()))
    return {"format": "image_folder", "path": str(folder / "tree")}


def coco(change):
    """Annotated photographs whose annotations are changed; ``change`` may give the text itself."""

    def write(folder):
        objects = [{"image_id": number, "category_id": number, "bbox": [1, 1, 4, 4]} for number in (1, 2)] * 2
        file = write_coco(folder, random_pictures(2, shape=(10, 8, 3)), objects, ("ant", "bee"))
        content = json.loads(file.read_text())
        text = change(content)
        file.write_text(text if isinstance(text, str) else json.dumps(content))
        return {"format": "coco", "path": str(folder / "photographs"), "annotations": str(file)}

    return write


def unchanged(content):
    return None


def photograph(**fields):
    return coco(lambda content: content["images"][0].update(fields))


def annotation(**fields):
    return coco(lambda content: content["annotations"][0].update(fields))


def photograph_that_is(make):
    """The first photograph becomes something else."""

    def write(folder):
        body = coco(unchanged)(folder)
        (folder / "photographs" / "000000000001.png").unlink()
        make(folder / "photographs" / "000000000001.png")
        return body

    return write


def torchvision(name, files, **settings):
    """Files below a root that torchvision is asked to read."""

    def write(folder):
        for file, content in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        return {"format": "torchvision", "dataset": name, "root": str(folder), **settings}

    return write


def mnist(change):
    """MNIST's files, changed."""
    splits = {
        "train": random_tree({"0": 2, "1": 2}, shape=(28, 28)),
        "test": random_tree({"0": 1, "1": 1}, shape=(28, 28)),
    }

    def write(folder):
        change(write_mnist_layout(folder, splits) / "MNIST")
        return {"format": "torchvision", "dataset": "MNIST", "root": str(folder)}

    return write


def old_pickles(folder):
    (folder / "processed").mkdir()
    for name in ("training.pt", "test.pt"):
        (folder / "processed" / name).write_bytes(pickle.dumps(Payload()))


def claims_a_terabyte(folder):
    (folder / "raw" / "train-images-idx3-ubyte").write_bytes(
        struct.pack(">4B3L", 0, 0, 8, 3, 2**30, 28, 28) + bytes(784)
    )


def becomes_a_pipe(folder):
    (folder / "raw" / "train-images-idx3-ubyte").unlink()
    os.mkfifo(folder / "raw" / "train-images-idx3-ubyte")


CIFAR_FILES = [f"cifar-10-batches-py/{name}" for name in (*map("data_batch_{}".format, range(1, 6)), "test_batch")]
CIFAR_FILES += ["cifar-10-batches-py/batches.meta"]
CIFAR_100 = [f"cifar-100-python/{name}" for name in ("train", "test", "meta")]
ARRAY_OF_OBJECTS = pickle.dumps({"data": np.array([Payload()], dtype=object), "label_names": ["a", "b"]}, 2)
TEXTURES = {f"dtd/dtd/labels/{part}1.txt": b"../../../../../etc/passwd\n" for part in ("train", "test")}
FOODS = {
    f"food-101/meta/{part}.json": b'{"a": ["../../../../../etc/passwd"], "b": ["c"]}' for part in ("train", "test")
}

FOLDERS = {
    "link_out": ("unsafe_data", tree(lambda root: (root / "ant" / "a.png").symlink_to("/etc/passwd"))),
    "link_to_itself": ("unsafe_data", tree(lambda root: (root / "ant" / "a.png").symlink_to(root / "ant" / "a.png"))),
    "links_to_folders": ("unsafe_data", tree(many_links)),
    "pipe": ("unsafe_data", tree(lambda root: os.mkfifo(root / "ant" / "a.png"))),
    "name_that_is_no_text": ("dataset_layout", tree(lambda root: (root / "ant" / "a\udcff.png").touch())),
    "name_for_the_log": ("dataset_layout", tree(lambda root: (root / "ant" / "a\nERROR root.png").touch())),
    "class_for_the_log": ("dataset_layout", tree(lambda root: (root / "ant").rename(root / "\x1b[31mant"))),
    "folder_of_pickles": ("unsafe_data", only_pickles),
    "coco_leads_out": ("unsafe_data", photograph(file_name="../../../../etc/passwd")),
    "coco_absolute": ("unsafe_data", photograph(file_name="/etc/passwd")),
    "coco_nul": ("dataset_layout", photograph(file_name="a\0.png")),
    "coco_surrogate": ("dataset_layout", photograph(file_name="a\ud800.png")),
    "coco_long_name": ("dataset_layout", photograph(file_name="a" * 5000 + ".png")),
    "coco_link_out": ("unsafe_data", photograph_that_is(lambda path: path.symlink_to("/etc/passwd"))),
    "coco_pipe": ("unsafe_data", photograph_that_is(os.mkfifo)),
    "coco_folder": ("unsafe_data", photograph_that_is(lambda path: path.mkdir())),
    "coco_wide": ("dataset_layout", photograph(width=10**400)),
    "coco_infinite": ("dataset_layout", annotation(bbox=[0, 0, float("inf"), 4])),
    "coco_beyond": ("dataset_layout", annotation(bbox=[0, 0, 10**400, 4.5])),
    "coco_id_beyond": ("dataset_layout", annotation(id=2**64)),
    "coco_outside_of_its_photograph": ("corrupt_image", coco(lambda content: [
        image.update(width=9_000, height=9_000) for image in content["images"]
    ] and content["annotations"][0].update(bbox=[0, 0, 9_000, 9_000]))),
    "coco_deep": ("dataset_layout", coco(lambda _: "[" * 1_000_000)),
    "coco_number_of_a_million_digits": ("dataset_layout", coco(lambda _: '{"images": ' + "9" * 1_000_000 + "}")),
    "cifar_pickle": ("unsafe_data", torchvision("CIFAR10", dict.fromkeys(CIFAR_FILES, pickle.dumps(Payload(), 2)))),
    "cifar_pickle_of_text": (
        "unsafe_data", torchvision("CIFAR100", dict.fromkeys(CIFAR_100, b"cos\nsystem\n(S'exit 66'\ntR."))
    ),
    "cifar_array_of_objects": ("unsafe_data", torchvision("CIFAR10", dict.fromkeys(CIFAR_FILES, ARRAY_OF_OBJECTS))),
    "cifar_claims_two_gigabytes": (
        "dataset_layout", torchvision("CIFAR10", dict.fromkeys(CIFAR_FILES, b"\x80\x02T\xff\xff\xff\x7fab."))
    ),
    "mnist_claims_a_terabyte": ("dataset_layout", mnist(claims_a_terabyte)),
    "mnist_pipe": ("unsafe_data", mnist(becomes_a_pipe)),
    "mnist_pickles": ("unsafe_data", mnist(old_pickles)),
    "usps_bomb": (
        "dataset_layout",
        torchvision("USPS", dict.fromkeys(("usps.bz2", "usps.t.bz2"), bz2.compress(bytes(100 * 2**20), 1))),
    ),
    "textures_lead_out": ("dataset_layout", torchvision("DTD", TEXTURES)),
    "foods_lead_out": ("unsafe_data", torchvision("Food101", FOODS | {"food-101/images/a/b": b""})),
    "aircraft_unchecked_archive": (
        "unsafe_data", torchvision("FGVCAircraft", {"fgvc-aircraft-2013b.tar.gz": b"\x1f\x8b"}, download=True)
    ),
}  # fmt: skip
