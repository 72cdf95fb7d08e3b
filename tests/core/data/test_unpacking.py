"""An archive is unpacked wholly, or leaves nothing."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ot3l_core.data import unpacking
from ot3l_core.data.limits import UnpackingLimits
from ot3l_core.data.unpacking import unpack
from ot3l_core.errors import Cancelled, CoreError, DatasetLayoutError, DiskFullError, UnsafeDataError

FILES = {"ant/0.png": b"zero" * 1000, "ant/deep/1.png": b"", "bee/2.png": os.urandom(1_200_000), "readme": b"text"}
COMPRESSIONS = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}
KINDS = ["zip", *COMPRESSIONS]


def header(name, **attributes):
    member = tarfile.TarInfo(name)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    return member


def packed_tar(members, **options):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **options) as archive:
        for name, content in members:
            member = name if isinstance(name, tarfile.TarInfo) else header(name)
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def packed_zip(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def packed(kind, files):
    members = list(files.items())
    return packed_zip(members) if kind == "zip" else COMPRESSIONS[kind](packed_tar(members))


@pytest.fixture
def place(tmp_path):
    """Where archives lie and folders are made; nothing else may be left there."""
    folder = tmp_path / "place"
    folder.mkdir()
    archive = folder / "archive"

    def run(content, **settings):
        archive.write_bytes(content)
        return unpack(archive, folder / "into", **settings)

    yield SimpleNamespace(unpack=run, archive=archive, into=folder / "into")
    assert {path.name for path in folder.iterdir()} <= {"archive", "into"}


def refused(place, content, error, match, **settings):
    with pytest.raises(error, match=match) as refusal:
        place.unpack(content, **settings)
    assert str(place.archive.parent) not in str(refusal.value)
    assert not place.into.exists()


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_out_as_they_went_in(place, kind):
    shares = []
    assert place.unpack(packed(kind, FILES), on_progress=shares.append) == place.into
    assert tree(place.into) == FILES
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_what_was_cancelled(place, kind):
    calls = count()

    def cancel(share):
        if next(calls) == 3:
            raise Cancelled("enough")

    refused(place, packed(kind, FILES), Cancelled, "enough", on_progress=cancel)


def test_empty_folders_are_kept_and_hidden_files_are_not(place):
    place.unpack(packed_tar([(header("./", type=tarfile.DIRTYPE), b""), (header("a/b", type=tarfile.DIRTYPE), b""),
                             (".DS_Store", b"x"), ("__MACOSX/a", b"x"), ("a/._1", b"x")]))  # fmt: skip
    assert [path.relative_to(place.into).as_posix() for path in sorted(place.into.rglob("*"))] == ["a", "a/b"]


def test_only_the_content_of_files_is_taken_over(place):
    member = header("run.sh", mode=0o4777, uid=0, uname="root")
    place.unpack(packed_tar([(member, b"x")]))
    assert stat.S_IMODE((place.into / "run.sh").stat().st_mode) & ~0o666 == 0


def test_an_archive_inside_is_a_file(place):
    inner = packed_zip([("a", b"x")])
    place.unpack(packed_tar([("inner.zip", inner)]))
    assert tree(place.into) == {"inner.zip": inner}


def test_streams_one_after_the_other_are_one(place):
    whole = packed_tar(FILES.items())
    place.unpack(gzip.compress(whole[:5000]) + gzip.compress(b"") + gzip.compress(whole[5000:]) + bytes(40_000))
    assert tree(place.into) == FILES


def test_what_is_there_already_is_not_touched(place):
    place.into.mkdir()
    with pytest.raises(FileExistsError):
        place.unpack(packed("zip", FILES))
    assert tree(place.into) == {}


NAMES = ["../out", "a/../../out", "/out", "a\\..\\out", "C:out", "a\nb", "a\x1b[2J", "x" * 300, "y/" * 600 + "z"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pack", [packed_zip, packed_tar])
def test_a_hostile_name_is_refused(place, pack, name):
    refused(place, pack([("fine", b"x"), (name, b"x")]), UnsafeDataError, "names")


def test_a_name_that_is_no_text_is_refused(place):
    refused(place, packed_tar([("a\udcff", b"x")]), UnsafeDataError, "control characters")


@pytest.mark.parametrize("pack", [packed_zip, packed_tar])
@pytest.mark.parametrize("names", [("a", "./a"), ("a", "a/b"), ("a/b", "a"), ("a//b", "a/b")])
def test_two_files_of_one_name_are_refused(place, pack, names):
    refused(place, pack([(name, b"x") for name in names]), UnsafeDataError, "twice|one name")


@pytest.mark.parametrize(
    "member",
    [
        header("a", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        header("a", type=tarfile.SYMTYPE, linkname="fine"),
        header("a", type=tarfile.LNKTYPE, linkname="fine"),
        header("a", type=tarfile.FIFOTYPE),
        header("a", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        header("a", type=tarfile.BLKTYPE),
    ],
)
def test_links_and_devices_are_refused(place, member):
    refused(place, packed_tar([("fine", b"x"), (member, b"")]), UnsafeDataError, "'a' in the archive is a link")


def test_a_symbolic_link_in_a_zip_is_refused(place):
    link = zipfile.ZipInfo("a")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(place, packed_zip([(link, b"/etc/passwd")]), UnsafeDataError, "symbolic link")


def test_a_file_with_holes_is_refused(place):
    member = bytearray(header("a", type=tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    member[483:495] = b"77777777777\0"  # the size that it claims
    member[148:156] = b" " * 8
    member[148:156] = b"%06o\0 " % sum(member)
    refused(place, bytes(member) + bytes(10240), UnsafeDataError, "holes")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_is_refused_while_it_is_written(place, kind):
    bomb = packed(kind, {"a": bytes(80 * 2**20)})
    refused(place, bomb, UnsafeDataError, "would grow")


@pytest.mark.parametrize("empty", [packed_zip([]), packed_tar([]), gzip.compress(bytes(80 * 2**20))])
def test_an_archive_of_nothing_is_refused(place, empty):
    refused(place, empty, DatasetLayoutError, "holds nothing")


@pytest.mark.parametrize("pack", [packed_zip, packed_tar])
@pytest.mark.parametrize(
    ("limits", "match"),
    [(UnpackingLimits(max_files=3), "more than 3 files"), (UnpackingLimits(max_bytes=10_000), "more than 10000 bytes")],
)
def test_limits_are_counted(place, pack, limits, match):
    refused(place, pack(FILES.items()), UnsafeDataError, match, limits=limits)


def test_folders_count_as_files_do(place):
    refused(
        place, packed_tar([("a/" * 300 + "b", b"x")]), UnsafeDataError, "files", limits=UnpackingLimits(max_files=9)
    )


@pytest.mark.parametrize("pack", [packed_zip, packed_tar])
def test_a_full_disk_is_said_to_be_full(place, pack):
    refused(place, pack(FILES.items()), DiskFullError, "room", limits=UnpackingLimits(keep_free=2**62))


def test_a_zip_that_declares_less_than_it_holds_is_damaged(place):
    content = bytearray(packed_zip([("a", b"x" * 1000)]))
    place_of_size = content.index(b"PK\x01\x02") + 24
    content[place_of_size : place_of_size + 4] = struct.pack("<I", 7)
    refused(place, bytes(content), DatasetLayoutError, "no readable zip")


def test_pages_of_text_about_a_file_are_refused(place):
    member = header("a", pax_headers={"comment": "1" * 10_000})
    refused(place, packed_tar([(member, b"x")], format=tarfile.PAX_FORMAT), UnsafeDataError, "header")


def test_an_xz_that_asks_for_gigabytes_is_refused(place):
    content = bytearray(COMPRESSIONS["tar.xz"](packed_tar(FILES.items())))
    size = 4 * content[12] + 4  # of the block's header, whose fifth byte stands for the dictionary
    content[16] = 40
    content[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(content[12 : 12 + size - 4]))
    refused(place, bytes(content), DatasetLayoutError, "damaged")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b", b"no archive" * 100, b"\x80\x04N."])
def test_what_is_no_archive_is_refused(place, content):
    refused(place, content, DatasetLayoutError, "'archive'")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.999])
def test_an_archive_cut_short_is_damaged(place, kind, share):
    whole = packed(kind, FILES).rstrip(b"\0")
    refused(place, whole[: int(len(whole) * share)], DatasetLayoutError, "'archive'")


def test_a_tar_without_its_end_is_damaged(place):
    whole = packed_tar([("a", b"x"), ("b", b"x")])
    refused(place, whole[:2048], DatasetLayoutError, "'archive'")
    refused(place, whole[:1024] + b"nonsense" * 500, DatasetLayoutError, "'archive'")


SMALL = {kind: packed(kind, {"a/b.png": b"x" * 300, "c": b"y"}) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(changes=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_archive_is_unpacked_or_refused(place, kind, changes):
    damaged = bytearray(SMALL[kind])
    for at, value in changes:
        damaged[at % len(damaged)] = value
    try:
        into = place.unpack(bytes(damaged))
    except CoreError:
        assert not place.into.exists()
    else:
        for path in sorted(into.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        into.rmdir()


def test_the_defaults_let_imagenet_pass():
    limits = unpacking._NO_LIMITS_GIVEN
    assert limits.max_files > 1_500_000
    assert limits.max_bytes > 160e9
