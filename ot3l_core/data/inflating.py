"""A compressed stream, undone no faster than it is read and no further than is reasonable."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final, Protocol

from ot3l_core.data.limits import refuse_bomb
from ot3l_core.errors import DatasetLayoutError

# Small, because what is left of it after each of many tiny streams is copied.
_CHUNK: Final = 16 * 2**10
# As much as the strongest preset of xz needs; a header may ask for 4 GiB.
_XZ_MEMORY: Final = 128 * 2**20
_DAMAGE: Final = (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)


class _Decompressor(Protocol):
    """What bz2 and lzma offer."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """The same for zlib, which hands unread input back."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_KINDS: Final[Mapping[bytes, Callable[[], _Decompressor]]] = {
    b"\x1f\x8b": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY),
}


def inflated(stream: BinaryIO, *, name: str, size: int, inflation: int) -> BinaryIO:
    """The content of a file of gzip, bzip2 or xz; a file of another kind as it is.

    Args:
        stream: The file, at its start.
        name: What to call it in an error.
        size: Its size in bytes.
        inflation: How many bytes one of its bytes may become.

    Raises:
        UnsafeDataError: While reading, when it has grown beyond that.
        DatasetLayoutError: While reading, if it is damaged.
    """
    start = stream.read(6)
    stream.seek(0)
    for magic, kind in _KINDS.items():
        if start.startswith(magic):
            return io.BufferedReader(_Inflated(stream, kind, name=name, size=size, inflation=inflation))
    return stream


class _Inflated(io.RawIOBase):
    def __init__(
        self, stream: BinaryIO, kind: Callable[[], _Decompressor], *, name: str, size: int, inflation: int
    ) -> None:
        self._stream, self._kind, self._name, self._size, self._inflation = stream, kind, name, size, inflation
        self._part: _Decompressor | None = None
        self._grown = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        try:
            content = self._next(len(buffer))
        except _DAMAGE as error:
            raise DatasetLayoutError(f"{self._name!r} is damaged or cut short: pack it anew", field="path") from error
        self._grown += len(content)
        refuse_bomb(self._name, stored=self._size, declared=self._grown, inflation=self._inflation)
        buffer[: len(content)] = content
        return len(content)

    def _next(self, most: int) -> bytes:
        """At least one byte and at most so many, or none at the end."""
        while True:
            if self._part is None:
                # Parallel packers write several streams one after the other, others zeros behind the last.
                if not (read := self._stream.read(_CHUNK)):
                    return b""
                if not (more := read.lstrip(b"\0")):
                    continue
                self._part = self._kind()
            else:
                more = self._stream.read(_CHUNK) if self._part.needs_input else b""
                if self._part.needs_input and not more:
                    raise EOFError
            content = self._part.decompress(more, most)
            if self._part.eof:
                self._stream.seek(-len(self._part.unused_data), io.SEEK_CUR)
                self._part = None
            if content:
                return content
