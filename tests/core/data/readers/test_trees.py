"""Class folders, on disk and in a zip alike."""

import pytest

from ot3l_core.data.readers.trees import Listing, tree_dataset
from ot3l_core.errors import DatasetLayoutError, MissingClassError, UnsafeDataError


def read_tree(*files, folders=()):
    return tree_dataset(Listing(files, folders), str.encode)


def names(split):
    return sorted(split.sample_ids)


def test_samples_are_sorted_by_class_and_name():
    tree = read_tree("b/2.png", "a/10.png", "b/1.png", "a/9.png")
    assert tree.classes == ("a", "b")
    assert tree.pool.sample_ids == ("a/10.png", "a/9.png", "b/1.png", "b/2.png")
    assert tree.pool.labels.tolist() == [0, 0, 1, 1]
    assert [tree.pool.images.payload(i) for i in range(4)] == [name.encode() for name in tree.pool.sample_ids]


def test_folders_inside_a_class_belong_to_it():
    tree = read_tree("a/1.png", "a/deep/er/2.png", "b/1.png")
    assert tree.classes == ("a", "b")
    assert tree.pool.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("top", ["", "top/", "top/inner/"])
@pytest.mark.parametrize("pool", ["train", "pool", "training"])
@pytest.mark.parametrize("test", ["test", "val", "validation"])
def test_a_division_is_recognised_below_enclosing_folders(top, pool, test):
    tree = read_tree(*(f"{top}{file}" for file in (f"{pool}/a/1.png", f"{pool}/b/2.png", f"{test}/b/3.png")))
    assert tree.classes == ("a", "b")
    assert names(tree.pool) == [f"{top}{pool}/a/1.png", f"{top}{pool}/b/2.png"]
    assert names(tree.test) == [f"{top}{test}/b/3.png"]
    assert tree.test.labels.tolist() == [1]


def test_a_test_split_wins_over_a_validation_split():
    tree = read_tree("train/a/1.png", "train/b/1.png", "val/a/2.png", "test/a/3.png")
    assert names(tree.test) == ["test/a/3.png"]
    assert len(tree.pool) == 2


def test_a_lone_train_folder_is_an_enclosing_folder():
    tree = read_tree("train/a/1.png", "train/b/2.png")
    assert tree.classes == ("a", "b")
    assert tree.test is None


def test_a_class_may_be_called_train():
    assert read_tree("car/1.png", "plane/1.png", "train/1.png").classes == ("car", "plane", "train")


def test_other_files_are_passed_over():
    tree = read_tree("a/1.png", "a/notes.txt", "b/1.JPEG", "b/1.xml", "readme.md")
    assert names(tree.pool) == ["a/1.png", "b/1.JPEG"]


def test_something_beside_the_splits_is_refused():
    with pytest.raises(DatasetLayoutError, match="'extra'"):
        read_tree("train/a/1.png", "test/a/1.png", "extra/a/1.png")


def test_an_image_in_no_class_is_refused():
    with pytest.raises(DatasetLayoutError, match=r"'cover\.png'"):
        read_tree("cover.png", "a/1.png", "b/1.png")


def test_an_empty_class_is_refused():
    with pytest.raises(MissingClassError, match="'c'"):
        read_tree("a/1.png", "b/1.png", "c/notes.txt", folders=["a", "b", "c"])


def test_an_empty_class_in_a_division_is_refused():
    with pytest.raises(MissingClassError, match="'train/c'"):
        read_tree("train/a/1.png", "test/a/1.png", folders=["train", "train/a", "train/c", "test", "test/a"])


def test_a_folder_inside_a_class_may_be_empty():
    assert read_tree("a/1.png", "b/1.png", folders=["a", "a/empty", "b"]).classes == ("a", "b")


@pytest.mark.parametrize("ending", [".pkl", ".pickle", ".pt", ".pth"])
def test_pickles_where_images_belong_are_unsafe(ending):
    with pytest.raises(UnsafeDataError, match="run code"):
        read_tree(f"a/1{ending}", "a/notes.txt", folders=["a"])


def test_files_of_another_kind_are_counted():
    with pytest.raises(DatasetLayoutError, match=r"2 x \.npy"):
        read_tree("a/1.npy", "b/1.npy")


def test_only_empty_classes_and_nothing_at_all_are_told_apart():
    with pytest.raises(MissingClassError, match="'a'"):
        read_tree(folders=["b", "a"])
    with pytest.raises(DatasetLayoutError, match="nothing"):
        read_tree()
