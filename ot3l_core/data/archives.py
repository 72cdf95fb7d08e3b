"""What is inside an archive, found out before anything of it is believed."""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from ot3l_core.data.limits import MAX_SAMPLES, refuse_bomb, refuse_too_many
from ot3l_core.errors import DatasetLayoutError, UnsafeDataError

UNREADABLE_ZIP: Final = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, LookupError, EOFError, struct.error, zlib.error,
    OverflowError, OSError,
)  # fmt: skip
"""What the standard library raises on damaged zips."""

_ENCRYPTED = 0x1
_ENTRY = b"PK\x01\x02"
_MAX_DIRECTORY_BYTES: Final = 256 * MAX_SAMPLES
_MAX_NAME: Final = 1024
_MAX_PART: Final = 255
# Nothing that a terminal, a log or a table would take for more than text; lone surrogates are bytes that are no UTF-8.
_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_writable(name: str) -> bool:
    """Whether a name is text that can be stored, shown and logged: not long, UTF-8, without control characters."""
    return len(name) <= _MAX_NAME and _UNWRITABLE.search(name) is None


def require_safe_name(name: str) -> PurePosixPath:
    """The path that an archive gives a member, below wherever it will lie.

    Raises:
        UnsafeDataError: If it could lead out, or means different files to different programs.
    """
    path = PurePosixPath(name)
    if name.startswith("/") or ".." in path.parts or "\\" in name or name[1:2] == ":":
        raise UnsafeDataError(
            f"the archive names {_shown(name)}, which leads out of it: pack it from inside the folder", field="path"
        )
    if not name or _UNWRITABLE.search(name):
        raise UnsafeDataError(
            f"the archive names a file {_shown(name)}: rename it to text without control characters", field="path"
        )
    if len(name.encode()) > _MAX_NAME or any(len(part.encode()) > _MAX_PART for part in path.parts):
        raise UnsafeDataError(
            f"the archive names {_shown(name)}, which is too long: a name may have {_MAX_PART} bytes, "
            f"with its folders {_MAX_NAME}",
            field="path",
        )
    return path


def _shown(name: str) -> str:
    return ascii(name) if len(name) <= 200 else f"{name[:200]!a}..."


@contextmanager
def opened_zip(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """A zip and its members by name, after all that can be refused by its directory alone.

    Names are written in one way: without ``.``, doubled slashes, or one at the end of a folder.

    Raises:
        DatasetLayoutError: If it is no zip.
        UnsafeDataError: If it has too many members; or if one is encrypted, a link, would grow beyond reason, or is
            named so that it would leave the archive, or as another.
    """
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(_WatchedFile(io.FileIO(path)))))
        except UNREADABLE_ZIP as error:
            raise DatasetLayoutError(f"{path.name!r} is no readable zip: pack its files anew", field="path") from error
        listed = archive.infolist()
        members = {str(_refuse_unsafe(member)): member for member in listed}
        if len(members) < len(listed):
            raise UnsafeDataError(f"{path.name!r} holds several files of one name: pack it anew", field="path")
        # Once more for the whole, because members may share their bytes.
        refuse_bomb(path.name, stored=path.stat().st_size, declared=sum(member.file_size for member in listed))
        yield archive, members


class _WatchedFile(io.BufferedReader):
    """Refuses what the zip library asks for when a directory is too long to become objects.

    The directory is read in one piece. Looking at that piece cannot mistake another one for it, as looking for the
    directory on our own could.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY_BYTES:
            raise UnsafeDataError(
                f"the zip says that its directory has {size} bytes: at most {_MAX_DIRECTORY_BYTES} are read; divide it",
                field="path",
            )
        content = super().read(size)
        refuse_too_many("the zip", content.count(_ENTRY))
        return content


def _refuse_unsafe(member: zipfile.ZipInfo) -> PurePosixPath:
    # The library cuts names at a NUL and turns separators round; the name as stored is the one to judge.
    path = require_safe_name(member.orig_filename)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnsafeDataError(f"{member.filename!r} in the zip is a symbolic link: pack the file itself", field="path")
    if member.flag_bits & _ENCRYPTED:
        raise UnsafeDataError(f"{member.filename!r} in the zip is encrypted: pack it without a password", field="path")
    refuse_bomb(member.filename, stored=member.compress_size, declared=member.file_size)
    return path


def require_usual_method(member: zipfile.ZipInfo) -> None:
    """Refuse methods of compression that may ask for gigabytes to be undone.

    Raises:
        DatasetLayoutError: If the member is neither stored nor deflated.
    """
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise DatasetLayoutError(
            f"{member.filename!r} is compressed by zip method {member.compress_type}: pack it stored or deflated",
            field="path",
        )
