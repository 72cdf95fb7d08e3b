"""Archives that strangers send, unpacked wholly or not at all."""

import errno
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final, Self

from ot3l_core.data.archives import UNREADABLE_ZIP, opened_zip, require_safe_name, require_usual_method
from ot3l_core.data.inflating import inflated
from ot3l_core.data.limits import UnpackingLimits, refuse_bomb
from ot3l_core.data.readers.trees import is_hidden
from ot3l_core.data.writing import folder_written_beside
from ot3l_core.errors import DatasetLayoutError, DiskFullError, UnsafeDataError
from ot3l_core.progress import OnProgress, ignore_progress

_CHUNK: Final = 2**20
_BETWEEN_LOOKS_AT_THE_DISK: Final = 64 * 2**20
# Extended headers hold long names and little else; older interpreters need the square of their length to read them.
_MAX_EXTENDED_HEADER: Final = 8 * 2**10
_EXTENDED_HEADERS: Final = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_LIMITS_GIVEN: Final = UnpackingLimits()


def unpack(
    archive: Path,
    into: Path,
    *,
    limits: UnpackingLimits = _NO_LIMITS_GIVEN,
    on_progress: OnProgress = ignore_progress,
) -> Path:
    """Unpack a zip or a tar, plain or compressed by gzip, bzip2 or xz, told apart by what they hold.

    Only folders and regular files are written, with the permissions of new files. Hidden files are passed over.
    Archives inside the archive are files like any other. Everything is written beside ``into`` and takes that name at
    the end, so that ``into`` is whole or not there.

    Args:
        archive: The file.
        into: The folder to be made. Nothing may have this name.
        limits: How much it may become; counted while it is written, whatever the archive says of itself.
        on_progress: May raise ``Cancelled``.

    Returns:
        ``into``.

    Raises:
        DatasetLayoutError: If it is no such archive, or damaged.
        UnsafeDataError: If it holds links, devices, names that lead out, several files of one name, or too much.
        DiskFullError: If it does not fit on the disk.
        FileExistsError: If ``into`` is there already.
    """
    members = _zip_members if _is_zip(archive) else _tar_members
    try:
        with folder_written_beside(into) as folder, members(archive, limits) as found:
            target = _Target(folder, archive, limits)
            for member in found:
                on_progress(member.before)
                target.add(member, on_chunk=partial(on_progress, member.before))
            if not target.entries:
                raise DatasetLayoutError(f"{archive.name!r} holds nothing: pack the files into it", field="path")
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise _disk_full(archive) from error
        raise
    on_progress(1.0)
    return into


def _is_zip(archive: Path) -> bool:
    # Not by the directory at the end, which a tar may hold too.
    with archive.open("rb") as stream:
        return stream.read(4) in {b"PK\x03\x04", b"PK\x05\x06"}


@dataclass(frozen=True, slots=True)
class _Member:
    """A file or a folder of an archive.

    Attributes:
        path: Where it belongs, below the folder that is filled.
        content: Opens it; None for a folder.
        before: Share of the archive that lies before it, in [0, 1].
    """

    path: PurePosixPath
    content: Callable[[], AbstractContextManager[IO[bytes]]] | None
    before: float


@dataclass(slots=True)
class _Target:
    """The folder that is filled, and how much has come into it.

    Attributes:
        folder: Where to write.
        archive: Where it comes from.
        limits: How much it may become.
        entries: Files and folders met so far.
        written: Bytes of files so far.
        checked: ``written`` when the disk was last looked at.
        folders: Those made so far.
    """

    folder: Path
    archive: Path
    limits: UnpackingLimits
    entries: int = 0
    written: int = 0
    checked: int | None = None
    folders: set[PurePosixPath] = field(default_factory=lambda: {PurePosixPath()})

    def add(self, member: _Member, *, on_chunk: Callable[[], None]) -> None:
        """Write one member, unless it is hidden."""
        self._count()
        if any(map(is_hidden, member.path.parts)):
            return
        if member.content is None:
            self._make_folders(member.path)
            return
        self._make_folders(member.path.parent)
        try:
            # Exclusive, because where a disk ignores case two names may be one file.
            sink = (self.folder / member.path).open("xb")
        except (FileExistsError, IsADirectoryError) as error:
            raise self._twice(member.path) from error
        with sink, member.content() as source:
            while chunk := source.read(_CHUNK):
                self._measure(len(chunk))
                sink.write(chunk)
                on_chunk()

    def _make_folders(self, path: PurePosixPath) -> None:
        for folder in reversed([path, *path.parents]):
            if folder in self.folders:
                continue
            self._count()
            try:
                (self.folder / folder).mkdir()
            except FileExistsError as error:
                raise self._twice(folder) from error
            self.folders.add(folder)

    def _count(self) -> None:
        self.entries += 1
        if self.entries > self.limits.max_files:
            raise UnsafeDataError(
                f"{self.archive.name!r} holds more than {self.limits.max_files} files and folders: divide it",
                field="path",
            )

    def _measure(self, size: int) -> None:
        self.written += size
        _refuse_growth(self.archive, self.written, self.limits)
        if self.checked is None or self.written - self.checked >= _BETWEEN_LOOKS_AT_THE_DISK:
            self.checked = self.written
            if shutil.disk_usage(self.folder).free < self.limits.keep_free + _BETWEEN_LOOKS_AT_THE_DISK:
                raise _disk_full(self.archive)

    def _twice(self, path: PurePosixPath) -> UnsafeDataError:
        return UnsafeDataError(
            f"{self.archive.name!r} holds {str(path)!r} twice, or with names that differ only in their case: rename "
            "one, and pack it anew",
            field="path",
        )


def _refuse_growth(archive: Path, written: int, limits: UnpackingLimits) -> None:
    if written > limits.max_bytes:
        raise UnsafeDataError(f"{archive.name!r} holds more than {limits.max_bytes} bytes: divide it", field="path")
    refuse_bomb(archive.name, stored=archive.stat().st_size, declared=written, inflation=limits.max_inflation)


def _disk_full(archive: Path) -> DiskFullError:
    return DiskFullError(f"there is no room to unpack {archive.name!r}: free some, or send less", field="path")


@contextmanager
def _zip_members(archive: Path, limits: UnpackingLimits) -> Iterator[Iterator[_Member]]:
    with opened_zip(archive) as (opened, members):
        declared = sum(member.file_size for member in members.values())
        _refuse_growth(archive, declared, limits)
        try:
            yield _each_of_zip(opened, members, declared)
        except UNREADABLE_ZIP as error:
            # A zip that names places before its start; every other fault of a file is the machine's.
            if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
                raise
            raise _damaged(archive) from error


def _each_of_zip(opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], declared: int) -> Iterator[_Member]:
    before = 0
    for name, member in members.items():
        require_usual_method(member)
        content = None if member.is_dir() else partial(opened.open, member)
        yield _Member(PurePosixPath(name), content, before / max(declared, 1))
        before += member.file_size


@contextmanager
def _tar_members(archive: Path, limits: UnpackingLimits) -> Iterator[Iterator[_Member]]:
    size = archive.stat().st_size
    with archive.open("rb") as stream:
        content = inflated(stream, name=archive.name, size=size, inflation=limits.max_inflation)
        try:
            with tarfile.open(fileobj=content, mode="r|", tarinfo=_Header) as opened:
                yield _each_of_tar(opened, lambda: stream.tell() / size)
        except (tarfile.TarError, EOFError, ValueError, RecursionError) as error:
            raise _damaged(archive) from error


def _each_of_tar(opened: tarfile.TarFile, share: Callable[[], float]) -> Iterator[_Member]:
    while (member := opened.next()) is not None:
        # A stream is read once: there is no use in the library's list of what it has met.
        opened.members.clear()  # type: ignore[attr-defined]
        path = require_safe_name(member.name)
        if member.isdir():
            yield _Member(path, None, share())
        elif not member.isreg() or member.issparse():
            raise UnsafeDataError(
                f"{member.name!r} in the archive is a link, a device or has holes: pack regular files only "
                "(tar --dereference --hard-dereference)",
                field="path",
            )
        else:
            yield _Member(path, partial(_content_of, opened, member), share())


def _content_of(opened: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = opened.extractfile(member)
    if content is None:
        raise tarfile.ReadError(member.name)
    return content


class _Header(tarfile.TarInfo):
    """A header that may be neither damaged nor long.

    After the first one, the library takes a damaged or missing header for the end of the archive.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf.strip(b"\0") or not buf:
                raise tarfile.ReadError("damaged, or without its end") from error
            raise
        if header.type in _EXTENDED_HEADERS and header.size > _MAX_EXTENDED_HEADER:
            raise UnsafeDataError(
                f"a header in the archive says that it has {header.size} bytes: pack it anew, without extended "
                "attributes",
                field="path",
            )
        return header


def _damaged(archive: Path) -> DatasetLayoutError:
    return DatasetLayoutError(
        f"{archive.name!r} is no readable zip or tar (plain, gzip, bzip2 or xz): pack it anew", field="path"
    )
