"""Archives that must not be unpacked, as they are uploaded; each holds a tree of pictures that is in order, too."""

import bz2
import gzip
import io
import lzma
import tarfile

from tests.generators.pictures import files_of, random_tree
from tests.hostile.zips import countless, overlapping, packed

TREE = files_of({"": random_tree({"ant": 3, "bee": 3})})


def tar(*members, compress=bytes):
    """A tar of the tree and of more members: headers, and their content where they have any."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in TREE.items():
            add(archive, tarfile.TarInfo(name), content)
        for member, content in members:
            add(archive, member, content)
    return compress(stream.getvalue())


def add(archive, member, content):
    """One member of a tar."""
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def member(name, kind=tarfile.REGTYPE, link=""):
    """A header."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


ZEROS = bytes(80 * 2**20)
ARCHIVES = {
    "tar_slip": ("unsafe_data", lambda: tar((member("../../out.png"), b"x"))),
    "tar_absolute": ("unsafe_data", lambda: tar((member("/etc/cron.d/out"), b"x"))),
    "tar_link_then_file_behind_it": (
        "unsafe_data",
        lambda: tar((member("ant/up", tarfile.SYMTYPE, "../../.."), b""), (member("ant/up/out.png"), b"x")),
    ),
    "tar_hard_link": ("unsafe_data", lambda: tar((member("ant/a.png", tarfile.LNKTYPE, "/etc/passwd"), b""))),
    "tar_device": ("unsafe_data", lambda: tar((member("ant/a.png", tarfile.CHRTYPE), b""))),
    "tar_pipe": ("unsafe_data", lambda: tar((member("ant/a.png", tarfile.FIFOTYPE), b""))),
    "tar_two_of_one_name": ("unsafe_data", lambda: tar((member("ant/./0000.png"), b"x"))),
    "tar_gz_bomb": ("unsafe_data", lambda: tar((member("ant/a.png"), ZEROS), compress=gzip.compress)),
    "tar_bz2_bomb": ("unsafe_data", lambda: tar((member("ant/a.png"), ZEROS), compress=bz2.compress)),
    "tar_xz_bomb": ("unsafe_data", lambda: tar((member("ant/a.png"), ZEROS), compress=lzma.compress)),
    "tar_of_long_headers": (
        "unsafe_data",
        lambda: tar((member("ant/a.png", tarfile.XHDTYPE), b"1" * 20_000), (member("ant/b.png"), b"x")),
    ),
    "tar_cut": ("dataset_layout", lambda: tar(compress=gzip.compress)[:-40]),
    "zip_bomb": ("unsafe_data", lambda: packed([("ant/a.png", ZEROS)])),
    "zip_overlapping": ("unsafe_data", overlapping),
    "zip_countless": ("unsafe_data", countless),
    "zip_slip": ("unsafe_data", lambda: packed([("../../out.png", b"x")])),
    "no_archive": ("dataset_layout", lambda: b"\x7fELF" + bytes(999)),
    "archive_in_an_archive": (None, lambda: tar((member("ant/bomb.zip"), packed([("a", ZEROS)])))),
}
"""Makers by name, each with the code of the error that unpacking ends in; None where it is unpacked."""
