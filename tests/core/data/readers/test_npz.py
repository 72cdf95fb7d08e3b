"""NumPy archives: only plain arrays, never objects."""

import pickle

import numpy as np
import pytest

from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, UnsafeDataError
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import random_pictures

X = np.stack(random_pictures(4))
Y = np.array([0, 1, 0, 1])


class Payload:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def read(tmp_path, **arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    return read_file(tmp_path / "a.npz")


def read_file(path):
    return open_dataset(DatasetSpec(DatasetFormat.NPZ, path, test_fraction=0))


def pixels(split):
    return np.stack([np.asarray(split.images.picture(index)) for index in range(len(split))])


@pytest.mark.parametrize(("images", "labels"), [("x", "y"), ("images", "labels"), ("x_train", "y_train")])
def test_one_split_goes_by_several_names(tmp_path, images, labels):
    assert np.array_equal(pixels(read(tmp_path, **{images: X, labels: Y}).pool), X)


@pytest.mark.parametrize("template", ["{content}_{split}", "{split}_{content}"])
def test_two_splits_go_by_several_names(tmp_path, template):
    contents = ("x", "y") if template.startswith("{c") else ("images", "labels")
    names = [template.format(split=split, content=content) for split in ("train", "test") for content in contents]
    dataset = read(tmp_path, **dict(zip(names, (X, Y, X[:1], Y[:1]), strict=True)))
    assert np.array_equal(pixels(dataset.pool), X)
    assert np.array_equal(pixels(dataset.test), X[:1])


@pytest.mark.parametrize("shape", [(4, 6, 5), (4, 6, 5, 1)])
def test_grey_may_have_a_channel(tmp_path, shape):
    grey = X[..., 0].reshape(shape)
    assert np.array_equal(pixels(read(tmp_path, x=grey, y=Y).pool)[..., 1], X[..., 0])


def test_labels_may_be_a_column_small_integers_or_strings(tmp_path):
    assert read(tmp_path, x=X, y=Y[:, None]).classes == ("0", "1")
    assert read(tmp_path, x=X, y=Y.astype(np.uint8)).classes == ("0", "1")
    strings = read(tmp_path, x=X, y=np.array(["b", "a", "b", "a"]))
    assert strings.classes == ("a", "b")
    assert strings.pool.labels.tolist() == [1, 0, 1, 0]


def test_classes_name_the_numbers(tmp_path):
    assert read(tmp_path, x=X, y=Y, classes=np.array(["zebra", "ant"])).classes == ("zebra", "ant")


@pytest.mark.parametrize("classes", [np.array(["a"]), np.array(["a", "a"]), np.array([1, 2]), np.array("ab")])
def test_classes_that_do_not_fit_are_refused(tmp_path, classes):
    with pytest.raises(DatasetLayoutError):
        read(tmp_path, x=X, y=Y, classes=classes)


@pytest.mark.parametrize("holds", ["NaN", "float32", "int64", "bool"])
def test_only_uint8_pictures_are_taken(tmp_path, holds):
    converted = np.full(X.shape, np.nan) if holds == "NaN" else X.astype(holds)
    with pytest.raises(DatasetLayoutError, match=f"uint8.*{holds}"):
        read(tmp_path, x=converted, y=Y)


@pytest.mark.parametrize("shape", [(4, 90), (4, 9, 5, 2), (4, 0, 5, 3), (4, 3, 6, 5)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(DatasetLayoutError, match="shape"):
        read(tmp_path, x=np.zeros(shape, np.uint8), y=Y)


@pytest.mark.parametrize("labels", [Y[:3], Y.astype(float), np.eye(4, dtype=int)])
def test_labels_that_do_not_fit_are_refused(tmp_path, labels):
    with pytest.raises(DatasetLayoutError):
        read(tmp_path, x=X, y=labels)


def test_other_arrays_are_listed(tmp_path):
    with pytest.raises(DatasetLayoutError, match="found data, target"):
        read(tmp_path, data=X, target=Y)


def test_what_is_not_needed_is_not_opened(tmp_path):
    extra = np.array([Payload()] * 4, dtype=object)
    assert len(read(tmp_path, x=X, y=Y, extra=extra).pool) == len(X)


@pytest.mark.parametrize("name", ["x", "y", "classes"])
def test_objects_are_never_opened(tmp_path, name):
    arrays = {"x": X, "y": Y} | {name: np.array([Payload()] * 4, dtype=object)}
    with pytest.raises(UnsafeDataError, match=f"'{name}'"):
        read(tmp_path, **arrays)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_opened(tmp_path, protocol):
    path = tmp_path / "a.npz"
    path.write_bytes(pickle.dumps(Payload(), protocol))
    with pytest.raises(UnsafeDataError if protocol >= 2 else DatasetLayoutError, match=r"'a\.npz'"):
        read_file(path)


def test_a_single_array_is_no_archive(tmp_path):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(DatasetLayoutError):
        read_file(tmp_path / "a.npy")


def test_a_bomb_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((80, 1024, 1024), np.uint8), y=np.arange(80) % 2)
    with pytest.raises(UnsafeDataError, match="unpacked"):
        read_file(tmp_path / "a.npz")


def test_a_damaged_archive_is_a_layout_error(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[200] ^= 255
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DatasetLayoutError, match=r"'a\.npz'"):
        read_file(tmp_path / "a.npz")
