"""A folder on disk: hidden files, links, and files that are gone."""

import os
import pickle

import pytest

from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import (
    CorruptImageError,
    DatasetLayoutError,
    DatasetNotFoundError,
    MissingClassError,
    UnsafeDataError,
)
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import encoded, random_pictures, random_tree, write_image_folder


@pytest.fixture
def root(tmp_path):
    return write_image_folder(tmp_path / "tree", {"": random_tree({"ant": 3, "bee": 3})})


def read_folder(root):
    return open_dataset(DatasetSpec(DatasetFormat.IMAGE_FOLDER, root, test_fraction=0))


def test_hidden_files_and_folders_are_ignored(root):
    digest = read_folder(root).digest
    (root / ".DS_Store").write_bytes(b"")
    (root / "ant" / "._0000.png").write_bytes(b"resource fork")
    (root / ".cache").mkdir()
    (root / "__MACOSX").mkdir()
    assert read_folder(root).digest == digest


def test_a_link_inside_the_folder_is_followed(root):
    (root / "ant" / "again.png").symlink_to(root / "bee" / "0000.png")
    assert len(read_folder(root).pool) == 7


def test_the_root_itself_may_be_a_link(root, tmp_path):
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert read_folder(tmp_path / "link").digest == read_folder(root).digest


def test_a_link_out_of_the_folder_is_refused(root, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(encoded(random_pictures(1)[0]))
    (root / "ant" / "stolen.png").symlink_to(secret)
    with pytest.raises(UnsafeDataError, match=r"'ant/stolen\.png'"):
        read_folder(root)


def test_a_link_that_is_put_there_later_is_refused(root, tmp_path):
    dataset = read_folder(root)
    secret = tmp_path / "secret.png"
    secret.write_bytes(encoded(random_pictures(1)[0]))
    (root / "ant" / "0000.png").unlink()
    (root / "ant" / "0000.png").symlink_to(secret)
    with pytest.raises(UnsafeDataError, match=r"'ant/0000\.png'"):
        dataset.pool.images.payload(0)


def test_a_link_in_a_circle_is_refused(root):
    (root / "ant" / "loop").symlink_to(root, target_is_directory=True)
    with pytest.raises(UnsafeDataError, match="circles"):
        read_folder(root)


def test_a_special_file_is_refused(root):
    os.mkfifo(root / "ant" / "pipe.png")
    with pytest.raises(UnsafeDataError, match=r"'ant/pipe\.png'"):
        read_folder(root)


def test_a_picture_that_becomes_a_pipe_is_not_waited_for(root):
    dataset = read_folder(root)
    (root / "ant" / "0000.png").unlink()
    os.mkfifo(root / "ant" / "0000.png")
    with pytest.raises(UnsafeDataError, match="regular"):
        dataset.pool.images.picture(0)


def test_links_in_a_circle_are_refused_and_links_to_nothing_passed_over(root):
    (root / "ant" / "gone.png").symlink_to(root / "ant" / "nothing.png")
    assert len(read_folder(root).pool) == 6
    (root / "ant" / "circle.png").symlink_to(root / "ant" / "circle.png")
    with pytest.raises(UnsafeDataError, match=r"'ant/circle\.png'"):
        read_folder(root)


@pytest.mark.parametrize("name", [b"\xff.png", b"a\nb.png", b"\x1b[2J.png"])
def test_a_name_that_is_no_text_is_refused(root, name):
    (root / "ant" / os.fsdecode(name)).write_bytes(b"")
    with pytest.raises(DatasetLayoutError, match="rename it"):
        read_folder(root)


def test_a_corrupt_image_is_named(root):
    (root / "ant" / "0001.png").write_bytes(b"no image")
    dataset = read_folder(root)
    with pytest.raises(CorruptImageError, match=r"'ant/0001\.png'"):
        dataset.pool.images.picture(1)


def test_a_file_that_is_gone_is_named_without_its_folders(root, tmp_path):
    dataset = read_folder(root)
    (root / "ant" / "0001.png").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"'ant/0001\.png'") as refusal:
        dataset.pool.images.payload(1)
    assert str(tmp_path) not in str(refusal.value)


def test_a_huge_file_is_not_read(root):
    with (root / "ant" / "0000.png").open("wb") as stream:
        stream.truncate(2**30)
    with pytest.raises(UnsafeDataError, match="bytes"):
        read_folder(root).pool.images.payload(0)


def test_an_empty_class_folder_is_refused(root):
    (root / "wasp").mkdir()
    with pytest.raises(MissingClassError, match="'wasp'"):
        read_folder(root)


def test_a_pickle_where_images_belong_is_refused(tmp_path):
    (tmp_path / "tree" / "ant").mkdir(parents=True)
    (tmp_path / "tree" / "ant" / "images.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(UnsafeDataError, match=r"\.pkl"):
        read_folder(tmp_path / "tree")


def test_a_file_in_place_of_the_folder_is_a_layout_error(root):
    with pytest.raises(DatasetLayoutError, match=r"'0000\.png' is a file"):
        read_folder(root / "ant" / "0000.png")
