"""A zip is read in place, and hostile ones are refused."""

import stat
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor

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
from tests.generators.pictures import encoded, files_of, random_pictures, random_tree, write_zip

SPLITS = {"": random_tree({"ant": 6, "bee": 6})}
PICTURE = encoded(random_pictures(1)[0])


def read_zip(path):
    return open_dataset(DatasetSpec(DatasetFormat.ZIP, path, test_fraction=0))


def append(path, name, content=PICTURE, **attributes):
    member = zipfile.ZipInfo(name)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, content)


@pytest.fixture
def path(tmp_path):
    return write_zip(tmp_path / "tree.zip", SPLITS)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("top", ["", "top", "top/inner"])
def test_members_keep_their_bytes(tmp_path, compression, top):
    path = write_zip(tmp_path / "tree.zip", SPLITS, top=top, compression=compression)
    pool = read_zip(path).pool
    assert [pool.images.payload(index) for index in range(12)] == list(files_of(SPLITS).values())


def test_many_threads_read_what_one_does(path):
    pool = read_zip(path).pool
    alone = [pool.images.payload(index) for index in range(12)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(pool.images.payload, list(range(12)) * 20)) == alone * 20


def test_a_zip_behind_other_bytes_is_read(path):
    digest = read_zip(path).digest
    path.write_bytes(b"a program that unpacks itself" + path.read_bytes())
    assert read_zip(path).digest == digest


def test_what_macos_adds_is_ignored(path):
    append(path, "__MACOSX/ant/._0000.png", b"resource fork")
    append(path, ".DS_Store", b"")
    assert len(read_zip(path).pool) == 12


@pytest.mark.parametrize("name", ["../out.png", "ant/../../out.png", "/ant/out.png", "ant\\..\\out.png", "C:out.png"])
def test_a_name_that_leads_out_is_refused(path, name):
    append(path, name)
    with pytest.raises(UnsafeDataError, match="leads out"):
        read_zip(path)


def test_a_symbolic_link_is_refused(path):
    append(path, "ant/link.png", b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)
    with pytest.raises(UnsafeDataError, match="symbolic link"):
        read_zip(path)


def test_an_encrypted_member_is_refused(path):
    content = bytearray(path.read_bytes())
    flags = content.index(b"PK\x01\x02") + 8
    content[flags : flags + 2] = struct.pack("<H", 1)
    path.write_bytes(content)
    with pytest.raises(UnsafeDataError, match="encrypted"):
        read_zip(path)


def test_two_members_of_one_name_are_refused(path):
    with pytest.warns(UserWarning, match="Duplicate"):
        append(path, "ant/0000.png")
    with pytest.raises(UnsafeDataError, match="one name"):
        read_zip(path)


def test_a_bomb_is_refused_by_what_it_declares(path):
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ant/bomb.png", bytes(80 * 2**20))
    with pytest.raises(UnsafeDataError, match="unpacked"):
        read_zip(path)


def test_a_bomb_in_pieces_is_refused(path):
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(9):
            archive.writestr(f"ant/bomb{number}.png", bytes(8 * 2**20))
    with pytest.raises(UnsafeDataError, match=r"'tree\.zip' would grow"):
        read_zip(path)


def test_a_member_that_declares_less_than_it_holds_is_not_inflated_further(path):
    content = bytearray(path.read_bytes())
    declared = content.index(b"PK\x01\x02") + 24
    content[declared : declared + 4] = struct.pack("<I", 7)
    path.write_bytes(content)
    with pytest.raises(CorruptImageError, match=r"'ant/0000\.png' is damaged"):
        read_zip(path).pool.images.payload(0)


def test_a_changed_byte_is_noticed(path):
    content = bytearray(path.read_bytes())
    content[45] ^= 255
    path.write_bytes(content)
    with pytest.raises(CorruptImageError, match=r"'ant/0000\.png' is damaged"):
        read_zip(path).pool.images.payload(0)


def test_an_unusual_compression_is_refused(tmp_path):
    path = write_zip(tmp_path / "tree.zip", SPLITS, compression=zipfile.ZIP_LZMA)
    with pytest.raises(DatasetLayoutError, match="stored or deflated"):
        read_zip(path).pool.images.payload(0)


def test_a_zip_that_is_gone_is_missing(path):
    pool = read_zip(path).pool
    path.unlink()
    with pytest.raises(DatasetNotFoundError, match=r"'tree\.zip'"):
        pool.images.payload(0)


def test_nested_archives_are_not_unpacked(tmp_path, path):
    outer = tmp_path / "outer.zip"
    append(outer, "ant/tree.zip", path.read_bytes())
    with pytest.raises(DatasetLayoutError, match=r"1 x \.zip"):
        read_zip(outer)


def test_an_empty_class_is_refused(path):
    append(path, "wasp/", b"")
    with pytest.raises(MissingClassError, match="'wasp'"):
        read_zip(path)


def test_a_pickle_where_images_belong_is_refused(tmp_path):
    append(tmp_path / "pickles.zip", "ant/images.pkl", b"\x80\x04N.")
    with pytest.raises(UnsafeDataError, match=r"\.pkl"):
        read_zip(tmp_path / "pickles.zip")
