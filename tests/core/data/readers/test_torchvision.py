"""torchvision's own layouts, written here."""

import bz2
import os
import pickle
import struct

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from ot3l_core.data.readers.cifar import CIFAR
from ot3l_core.data.readers.torchvision import _KNOWN
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import (
    DataError,
    DatasetLayoutError,
    DatasetNotFoundError,
    InvalidSettingError,
    UnsafeDataError,
)
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import encoded, random_pictures, random_tree, write_image_folder, write_mnist_layout

SPLITS = {
    "train": random_tree({"0": 4, "1": 3}, shape=(28, 28)),
    "test": random_tree({"0": 1, "1": 2}, seed=1, shape=(28, 28)),
}


def read(root, name, **settings):
    return open_dataset(DatasetSpec(DatasetFormat.TORCHVISION, root, dataset=name, **settings))


@pytest.mark.parametrize(("name", "second"), [("MNIST", "1 - one"), ("FashionMNIST", "Trouser"), ("KMNIST", "ki")])
def test_the_mnist_family_is_read(tmp_path, name, second):
    dataset = read(write_mnist_layout(tmp_path, SPLITS, kind=name), name)
    assert dataset.classes[1] == second
    assert dataset.pool.labels.tolist() == [0] * 4 + [1] * 3
    written = [picture for tree in SPLITS.values() for pictures in tree.values() for picture in pictures]
    images = [split.images.picture(i) for split in (dataset.pool, dataset.test) for i in range(len(split))]
    assert [np.asarray(image)[..., 0].tolist() for image in images] == [picture.tolist() for picture in written]
    assert dataset.test.sample_ids == ("test/000000", "test/000001", "test/000002")


def test_emnist_is_asked_for_by_split(tmp_path):
    raw = write_mnist_layout(tmp_path, SPLITS, kind="EMNIST") / "EMNIST" / "raw"
    for file in list(raw.iterdir()):
        file.rename(raw / f"emnist-letters-{file.name.replace('t10k', 'test')}")
    # In EMNIST's letters class 0 stands for nothing; here only class 1, "a", would be left.
    labels = raw / "emnist-letters-train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-7] + bytes([1, 1, 1, 2, 2, 2, 3]))
    labels = raw / "emnist-letters-test-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-3] + bytes([1, 2, 3]))
    assert read(tmp_path, "EMNIST-letters").classes == ("a", "b", "c")


def test_a_dataset_of_files_keeps_their_bytes_and_is_divided_by_us(tmp_path):
    written = {}
    for name in ("Forest", "River"):
        folder = tmp_path / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for number, picture in enumerate(random_pictures(5, seed=len(name))):
            written[f"eurosat/2750/{name}/{number}.jpg"] = encoded(picture, "JPEG")
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    dataset = read(tmp_path, "EuroSAT")
    assert dataset.classes == ("Forest", "River")
    assert len(dataset.test) == 2
    for split in (dataset.pool, dataset.test):
        assert [split.images.payload(i) for i in range(len(split))] == [written[name] for name in split.sample_ids]


def test_german_traffic_signs_are_read_although_their_loader_is_fixed(tmp_path):
    base = tmp_path / "gtsrb"
    for label in range(2):
        folder = base / "GTSRB" / "Training" / f"{label:05d}"
        folder.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(random_pictures(1, seed=label)[0]).save(folder / f"{number}.ppm")
    tests = base / "GTSRB" / "Final_Test" / "Images"
    tests.mkdir(parents=True)
    Image.fromarray(random_pictures(1, seed=9)[0]).save(tests / "00000.ppm")
    (base / "GT-final_test.csv").write_text("Filename;ClassId\n00000.ppm;1\n")
    dataset = read(tmp_path, "GTSRB")
    assert dataset.classes == ("0", "1")
    assert dataset.pool.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(np.asarray(dataset.test.images.picture(0)), random_pictures(1, seed=9)[0])


@pytest.mark.parametrize(
    "name", ["MNIST", "EMNIST-digits", "QMNIST", "CIFAR10", "SVHN", "USPS", "Flowers102", "ImageNet"]
)
def test_missing_files_are_listed_with_the_remedy(tmp_path, name):
    with pytest.raises(DatasetNotFoundError, match="ask for a download") as refusal:
        read(tmp_path, name)
    assert refusal.value.field == "path"
    assert str(tmp_path) not in str(refusal.value)


def test_the_missing_file_is_the_one_that_is_named(tmp_path):
    root = write_mnist_layout(tmp_path, SPLITS)
    (root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DatasetNotFoundError, match="expects MNIST/raw/t10k-labels-idx1-ubyte below"):
        read(root, "MNIST")


@pytest.mark.parametrize("content", [b"", b"no idx file", bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28])])
def test_a_damaged_file_is_a_layout_error(tmp_path, content):
    root = write_mnist_layout(tmp_path, SPLITS)
    (root / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DatasetLayoutError, match="MNIST"):
        read(root, "MNIST")


def python_2(pixels, key, labels):
    """What Python 2 pickled: strings that are bytes, and an array by its old name."""
    count = b"K" + bytes([len(labels)])
    data = b"T" + struct.pack("<I", pixels.size) + pixels.tobytes()
    return (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85q\x05"
        b"U\x01b\x87Rq\x06(K\x01" + count + b"M\x00\x0c\x86cnumpy\ndtype\nq\x07U\x02u1K\x00K\x01\x87Rq\x08"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + data + b"tb"
        b"U"
        + bytes([len(key)])
        + key.encode()
        + b"]q\x09("
        + bytes(i for label in labels for i in (75, label))
        + b"eu."
    )


def python_3(protocol):
    return lambda pixels, key, labels: pickle.dumps({"data": pixels, key: labels, "filenames": ["a"] * 9}, protocol)


@pytest.mark.parametrize("pack", [python_2, python_3(2), python_3(4)])
@pytest.mark.parametrize(("name", "key"), [("CIFAR10", "labels"), ("CIFAR100", "fine_labels")])
def test_cifar_is_read_without_unpickling(tmp_path, monkeypatch, pack, name, key):
    published = CIFAR[name]
    written = np.random.default_rng(0).integers(0, 256, (len(published.files), 2, 3072), dtype=np.uint8)
    (tmp_path / published.folder).mkdir()
    for file, pixels in zip(published.files, written, strict=True):
        (tmp_path / file).write_bytes(pack(pixels, key, [0, 1]))
    names = pickle.dumps({published.names[1]: ["ant", "bee"]}, 2)
    (tmp_path / published.files[-1]).write_bytes(names)
    monkeypatch.setattr(pickle, "load", None)
    dataset = read(tmp_path, name)
    assert dataset.classes == ("ant", "bee")
    assert dataset.test.labels.tolist() == [0, 1]
    assert len(dataset.pool) == 2 * len(published.splits[0])
    last = np.asarray(dataset.test.images.picture(1))
    assert np.array_equal(last.transpose(2, 0, 1).ravel(), written[-2][1])


class Payload:
    def __reduce__(self):
        return exec, ("raise SystemExit('code was run')",)


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'exit 1'\ntR.",
        pickle.dumps({"label_names": Payload()}, 2),
        pickle.dumps({"label_names": Payload()}, 4),
        b"\x80\x02cnumpy\ndtype\ncnumpy\ndtype\n\x85R.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x02cnumpy\nndarray\n)\x81}b.",
        b"\x80\x02cnumpy\nndarray\nK\x01b.",
        b"\x80\x02ccopy_reg\n_reconstructor\n.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02U\x01aQ.",
    ],
)
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path, content):
    for file in CIFAR["CIFAR10"].files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UnsafeDataError, match="run code"):
        read(tmp_path, "CIFAR10")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x02", b"\x80\x02}", b"\x80\x02].", b"\x80\x02t.", b"\x80\x02h\x01.", b"\x80\x02K\x01K\x01.",
     b"\x80\x02}U\x0blabel_namesK\x01s.", b"\x80\x02}}}s.", b"\x80\x02K\x01a.", b"\x80\x02T\xff\xff\xff\x7fab."],
)  # fmt: skip
def test_a_damaged_pickle_is_a_layout_error(tmp_path, content):
    for file in CIFAR["CIFAR10"].files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(content)
    with pytest.raises(DatasetLayoutError):
        read(tmp_path, "CIFAR10")


def test_imagenet_is_read_without_its_pickle(tmp_path):
    splits = {"train": random_tree({"n01": 2, "n02": 2}), "val": random_tree({"n01": 1, "n02": 1}, seed=1)}
    write_image_folder(tmp_path, splits)
    (tmp_path / "meta.bin").write_bytes(pickle.dumps(Payload()))
    dataset = read(tmp_path, "ImageNet")
    assert dataset.classes == ("n01", "n02")
    assert dataset.pool.sample_ids == ("train/n01/0000.png", "train/n01/0001.png", *dataset.pool.sample_ids[2:])
    assert len(dataset.test) == 2


def test_pickles_of_an_old_torchvision_are_refused(tmp_path):
    root = write_mnist_layout(tmp_path, SPLITS)
    (root / "MNIST" / "processed").mkdir()
    (root / "MNIST" / "processed" / "training.pt").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(UnsafeDataError, match="remove it"):
        read(root, "MNIST")


def test_an_archive_that_torchvision_does_not_check_is_not_unpacked(tmp_path):
    (tmp_path / "fgvc-aircraft-2013b.tar.gz").write_bytes(b"")
    with pytest.raises(UnsafeDataError, match="unchecked"):
        read(tmp_path, "FGVCAircraft", download=True)


def test_a_file_that_would_grow_is_the_published_one_or_refused(tmp_path):
    for file in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / file).write_bytes(bz2.compress(b"1 1:0.5\n" * 1000))
    with pytest.raises(DatasetLayoutError, match="USPS"):
        read(tmp_path, "USPS")


def describe_textures(root, line):
    (root / "dtd" / "dtd" / "labels").mkdir(parents=True)
    (root / "dtd" / "dtd" / "images").mkdir()
    for part in ("train", "test"):
        (root / "dtd" / "dtd" / "labels" / f"{part}1.txt").write_text(line)
    return root


@pytest.mark.parametrize("line", ["../secret", "a/b/c", "a", "", "\0/\0", "a/\x1b"])
def test_a_list_of_files_may_not_name_any_other(tmp_path, line):
    (tmp_path / "secret").write_bytes(b"secret")
    root = describe_textures(tmp_path / "root", line)
    with pytest.raises(DataError):
        read(root, "DTD").pool.images.payload(0)


def test_a_link_out_of_the_root_is_not_followed(tmp_path):
    root = describe_textures(tmp_path / "root", "a/b")
    (tmp_path / "secret").write_text("root:x:0:0/secret")
    (root / "dtd" / "dtd" / "labels" / "train1.txt").unlink()
    (root / "dtd" / "dtd" / "labels" / "train1.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(UnsafeDataError, match="leads out"):
        read(root, "DTD")


def test_a_pipe_is_not_waited_for(tmp_path):
    root = write_mnist_layout(tmp_path, SPLITS)
    images = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.unlink()
    os.mkfifo(images)
    with pytest.raises(UnsafeDataError, match="neither"):
        read(root, "MNIST")


def test_an_unknown_name_is_told_the_known_ones(tmp_path):
    with pytest.raises(InvalidSettingError, match=r"'mnist'.*FashionMNIST") as refusal:
        read(tmp_path, "mnist")
    assert refusal.value.field == "dataset"


def test_every_name_is_a_class_of_torchvision():
    assert all(hasattr(datasets, known.kind) for known in _KNOWN.values())
