"""Class folders inside a zip, read in place and never unpacked."""

import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ot3l_core.data.images import ImageDataset
from ot3l_core.data.limits import refuse_bomb, refuse_large_image
from ot3l_core.data.readers.folder import require_file
from ot3l_core.data.readers.trees import Listing, is_hidden, pile_dataset, tree_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import CorruptImageError, DatasetLayoutError, DatasetNotFoundError, UnsafeDataError

_ENCRYPTED = 0x1
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_RAW_DEFLATE = -15


def open_zip(spec: DatasetSpec) -> ImageDataset:
    """Read the layouts of an image folder from a zip.

    Raises:
        DatasetNotFoundError: If there is no file.
        DatasetLayoutError: If it is no zip, or the tree inside is another one.
        MissingClassError: If a class folder holds no image.
        UnsafeDataError: If a member is encrypted, a link, too large, or named so that it would leave the archive.
    """
    path = require_file(spec.required_path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError) as error:
        raise DatasetLayoutError(
            f"{path.name!r} is no readable zip: pack the class folders anew", field="path"
        ) from error
    for member in members:
        _refuse_unsafe(member)
    # Once more for the whole, because members may share their bytes.
    refuse_bomb(path.name, stored=path.stat().st_size, declared=sum(member.file_size for member in members))
    visible = [member for member in members if not any(map(is_hidden, PurePosixPath(member.filename).parts))]
    files = {member.filename: member for member in visible if not member.is_dir()}
    if len(files) < sum(not member.is_dir() for member in visible):
        raise UnsafeDataError(f"{path.name!r} holds several files of one name: pack it anew", field="path")
    folders = [member.filename.rstrip("/") for member in visible if member.is_dir()]
    dataset_of = tree_dataset if spec.labelled else pile_dataset
    return dataset_of(Listing(list(files), folders), lambda name: _read(path, files[name]))


def _refuse_unsafe(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or name[1:2] == ":":
        raise UnsafeDataError(
            f"the zip names {name!r}, which leads out of it: pack it from inside the folder", field="path"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnsafeDataError(f"{name!r} in the zip is a symbolic link: pack the file itself", field="path")
    if member.flag_bits & _ENCRYPTED:
        raise UnsafeDataError(f"{name!r} in the zip is encrypted: pack it without a password", field="path")
    refuse_bomb(name, stored=member.compress_size, declared=member.file_size)


def _read(path: Path, member: zipfile.ZipInfo) -> bytes:
    """One member's bytes.

    Opens the file anew for each: threads then share no position and no lock, and no handle outlives the call.
    """
    refuse_large_image(member.filename, max(member.file_size, member.compress_size))
    try:
        with path.open("rb") as stream:
            stream.seek(member.header_offset)
            signature, name_size, extra_size = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
            stream.seek(name_size + extra_size, 1)
            stored = stream.read(member.compress_size)
        content = _inflated(stored, member)
    except OSError as error:
        raise DatasetNotFoundError(f"{path.name!r} cannot be read: {error.strerror}", field="path") from error
    except (struct.error, zlib.error) as error:
        raise _damaged(member) from error
    if signature != b"PK\x03\x04" or len(content) != member.file_size or zlib.crc32(content) != member.CRC:
        raise _damaged(member)
    return content


def _inflated(stored: bytes, member: zipfile.ZipInfo) -> bytes:
    match member.compress_type:
        case zipfile.ZIP_STORED:
            return stored
        case zipfile.ZIP_DEFLATED:
            return zlib.decompressobj(_RAW_DEFLATE).decompress(stored, member.file_size + 1)
        case other:
            raise DatasetLayoutError(
                f"{member.filename!r} is compressed by zip method {other}: pack it stored or deflated", field="path"
            )


def _damaged(member: zipfile.ZipInfo) -> CorruptImageError:
    return CorruptImageError(f"{member.filename!r} is damaged inside the zip: pack it anew", field="path")
