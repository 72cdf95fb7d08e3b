"""Zips that lead out, lie about themselves, or become far more than they are."""

import io
import stat
import struct
import zipfile
import zlib

from ot3l_core.data.limits import MAX_SAMPLES
from tests.generators.pictures import encoded, files_of, random_pictures, random_tree

PICTURE = encoded(random_pictures(1)[0])
TREE = files_of({"": random_tree({"ant": 3, "bee": 3})})
LOCAL, ENTRY, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def packed(members, compression=zipfile.ZIP_DEFLATED):
    """A zip of these members, behind those of a tree that is in order."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in [*TREE.items(), *members]:
            archive.writestr(name, content)
    return stream.getvalue()


def of_bytes(make):
    """Write what ``make`` gives, and ask for it to be read as a zip."""

    def write(folder):
        (folder / "data.zip").write_bytes(make())
        return {"format": "zip", "path": str(folder / "data.zip")}

    return write


def with_member(name, content=PICTURE, **attributes):
    """A zip with one more member."""

    def make():
        member = zipfile.ZipInfo(name)
        member.compress_type = zipfile.ZIP_DEFLATED
        for attribute, value in attributes.items():
            setattr(member, attribute, value)
        return packed([(member, content)])

    return of_bytes(make)


def patched(signature, offset, content):
    """A zip in whose first header of a kind some bytes are others."""

    def make():
        whole = bytearray(packed([]))
        start = whole.index(signature) + offset
        whole[start : start + len(content)] = content
        return bytes(whole)

    return of_bytes(make)


def entry(name, *, start, packed_size, size, checksum=0):
    """One line of a zip's directory."""
    fixed = (ENTRY, 20, 20, 0, 8, 0, 0, checksum, packed_size, size, len(name), 0, 0, 0, 0, 0, start)
    return struct.pack("<4s4H2H3L5H2L", *fixed) + name


def end(count, size, start):
    """What a zip ends with."""
    return struct.pack("<4s4H2LH", END, 0, 0, count, count, size, start, 0)


def overlapping():
    """A thousand members whose bytes are the same megabyte of nothing."""
    deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = deflated.compress(bytes(2**20)) + deflated.flush()
    names = [b"ant/%d.png" % number for number in range(1000)]
    local = struct.pack("<4s5H3L2H", LOCAL, 20, 0, 8, 0, 0, 0, len(content), 2**20, len(names[0]), 0) + names[0]
    body = local + content
    lines = b"".join(entry(name, start=0, packed_size=len(content), size=2**20) for name in names)
    return body + lines + end(1000, len(lines), len(body))


def countless():
    """A directory of more lines than could be held, none of which is more than its first bytes."""
    lines = ENTRY * (MAX_SAMPLES + 1)
    return LOCAL + lines + end(0xFFFF, len(lines), 0)


def claims_ten_gigabytes():
    """One megabyte that says it is ten thousand of them, with a size of 64 bits."""
    extra = struct.pack("<2H2Q", 1, 16, 10 * 2**30, 2**20)
    fixed = (ENTRY, 45, 45, 0, 0, 0, 0, 0, 2**32 - 1, 2**32 - 1, 9, len(extra), 0, 0, 0, 0, 0)
    line = struct.pack("<4s4H2H3L5H2L", *fixed) + b"ant/0.png" + extra
    body = bytes(2**20)
    return body + line + end(1, len(line), len(body))


def with_bomb(count, size):
    """A zip with so many members of so many zeros."""
    return of_bytes(lambda: packed([(f"ant/bomb{number}.png", bytes(size)) for number in range(count)]))


ZIPS = {
    "zip_slip": ("unsafe_data", with_member("../../out.png")),
    "zip_slip_inside": ("unsafe_data", with_member("ant/../../out.png")),
    "zip_absolute": ("unsafe_data", with_member("/ant/out.png")),
    "zip_backslash": ("unsafe_data", with_member("ant\\..\\..\\out.png")),
    "zip_drive": ("unsafe_data", with_member("C:out.png")),
    "zip_control_characters": ("unsafe_data", with_member("ant/\x1b[2J\r\nlog in as root.png")),
    "zip_two_of_one_name": ("unsafe_data", with_member("ant/./0000.png")),
    "zip_link": ("unsafe_data", with_member("ant/a.png", b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)),
    "zip_encrypted": ("unsafe_data", patched(ENTRY, 8, b"\x01\x00")),
    "zip_bomb": ("unsafe_data", with_bomb(1, 80 * 2**20)),
    "zip_bomb_in_pieces": ("unsafe_data", with_bomb(9, 8 * 2**20)),
    "zip_bomb_of_one_byte_range": ("unsafe_data", of_bytes(overlapping)),
    "zip_countless": ("unsafe_data", of_bytes(countless)),
    "zip_claims_ten_gigabytes": ("unsafe_data", of_bytes(claims_ten_gigabytes)),
    "zip_declares_less": ("corrupt_image", patched(ENTRY, 24, struct.pack("<L", 7))),
    "zip_lies_about_its_place": ("corrupt_image", patched(ENTRY, 42, struct.pack("<L", 5))),
    "zip_lies_about_its_method": ("dataset_layout", patched(ENTRY, 10, struct.pack("<H", 14))),
    "zip_of_lzma": ("dataset_layout", of_bytes(lambda: packed([], zipfile.ZIP_LZMA))),
    "zip_nested": ("dataset_layout", of_bytes(lambda: zip_of({"ant/a.zip": packed([]), "bee/b.zip": packed([])}))),
    "zip_of_pickles": ("unsafe_data", of_bytes(lambda: zip_of({"ant/a.pkl": b"cos\nsystem\n(S'exit'\ntR."}))),
    "zip_of_nothing": ("dataset_layout", of_bytes(lambda: zip_of({}))),
    "zip_cut": ("dataset_layout", of_bytes(lambda: packed([])[:-30])),
    "zip_of_another_kind": ("dataset_layout", of_bytes(lambda: b"\x1f\x8b\x08 this is no zip" * 99)),
}


def zip_of(members):
    """A zip of nothing else."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()
