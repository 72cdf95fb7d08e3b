"""Class folders inside a zip, read in place and never unpacked."""

import struct
import zipfile
import zlib
from pathlib import Path

from ot3l_core.data.archives import opened_zip, require_usual_method
from ot3l_core.data.images import ImageDataset
from ot3l_core.data.limits import refuse_large_image
from ot3l_core.data.readers.folder import require_file
from ot3l_core.data.readers.trees import Listing, is_hidden, pile_dataset, tree_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import CorruptImageError, DatasetNotFoundError

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_RAW_DEFLATE = -15


def open_zip(spec: DatasetSpec) -> ImageDataset:
    """Read the layouts of an image folder from a zip.

    Raises:
        DatasetNotFoundError: If there is no file.
        DatasetLayoutError: If it is no zip, or the tree inside is another one.
        MissingClassError: If a class folder holds no image.
        UnsafeDataError: If a member is encrypted, a link, too large, or named so that it would leave the archive, or
            as another.
    """
    path = require_file(spec.required_path)
    with opened_zip(path) as (_, members):
        visible = {name: member for name, member in members.items() if not any(map(is_hidden, name.split("/")))}
    files = {name: member for name, member in visible.items() if not member.is_dir()}
    dataset_of = tree_dataset if spec.labelled else pile_dataset
    return dataset_of(Listing(list(files), list(visible.keys() - files)), lambda name: _read(path, files[name]))


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
    except (struct.error, zlib.error, ValueError, OverflowError) as error:
        raise _damaged(member) from error
    if signature != b"PK\x03\x04" or len(content) != member.file_size or zlib.crc32(content) != member.CRC:
        raise _damaged(member)
    return content


def _inflated(stored: bytes, member: zipfile.ZipInfo) -> bytes:
    require_usual_method(member)
    if member.compress_type == zipfile.ZIP_STORED:
        return stored
    return zlib.decompressobj(_RAW_DEFLATE).decompress(stored, member.file_size + 1)


def _damaged(member: zipfile.ZipInfo) -> CorruptImageError:
    return CorruptImageError(f"{member.filename!r} is damaged inside the zip: pack it anew", field="path")
