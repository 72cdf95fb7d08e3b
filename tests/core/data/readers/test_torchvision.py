"""torchvision's own layouts, written here."""

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from ot3l_core.data.readers.torchvision import _KNOWN
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError, InvalidSettingError
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import encoded, random_pictures, random_tree, write_mnist_layout

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


def test_a_pickle_that_is_not_the_one_torchvision_knows_is_not_opened(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):
        (folder / name).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    (folder / "batches.meta").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(DatasetLayoutError, match="CIFAR10"):
        read(tmp_path, "CIFAR10")


def test_an_unknown_name_is_told_the_known_ones(tmp_path):
    with pytest.raises(InvalidSettingError, match=r"'mnist'.*FashionMNIST") as refusal:
        read(tmp_path, "mnist")
    assert refusal.value.field == "dataset"


def test_every_name_is_a_class_of_torchvision():
    assert all(hasattr(datasets, known.kind) for known in _KNOWN.values())
