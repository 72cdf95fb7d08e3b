"""Bytes by key: a local folder or an S3-compatible store behind one interface, through obstore."""

import asyncio
import contextlib
import datetime as dt
import os
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import obstore
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

PIECE_BYTES = 1 << 20
_REMOTE_PIECE_BYTES = 4 << 20
_PIECES_AHEAD = 1
# How the library names a file that is being written.
_UNFINISHED = re.compile(r"#\d+$")
BlobStoreError = obstore.exceptions.BaseError
"""What is raised when the store does not answer or refuses."""
BlobChangedError = obstore.exceptions.PreconditionError
"""What is raised, of these, when a blob is not the one that was listed."""


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """A blob as the store lists it.

    Attributes:
        key: Its key.
        size: Bytes.
        e_tag: Another one for other bytes.
        modified_at: When it was put, by the store's clock.
    """

    key: str
    size: int
    e_tag: str | None
    modified_at: dt.datetime


@dataclass(frozen=True, slots=True)
class BlobStore:
    """Immutable blobs under ``/``-separated keys. A blob is there whole or not at all.

    Attributes:
        store: Where they are.
        signing: The same store at the address by which clients reach it; None if they are not to be sent there.
    """

    store: ObjectStore
    signing: S3Store | None = None

    def put_file(self, key: str, path: Path, *, media_type: str = "application/octet-stream") -> None:
        """Store the bytes of a file; storing the same key again replaces it.

        An S3 store that a client is sent to hands the file out under its name.
        """
        if isinstance(self.store, LocalStore):
            obstore.put(self.store, key, path)
        else:
            told = {"Content-Type": media_type, "Content-Disposition": f'attachment; filename="{path.name}"'}
            obstore.put(self.store, key, path, attributes=told)

    def put(self, key: str, content: bytes) -> None:
        """Store bytes in one request."""
        obstore.put(self.store, key, content, use_multipart=False)

    def piece(self, key: str, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to, not including, ``end``, at once.

        Raises:
            FileNotFoundError: If there is no such blob.
            BlobStoreError: If the store does not answer.
        """
        return obstore.get_range(self.store, key, start=start, end=end).to_bytes() if start < end else b""

    def read(self, key: str, size: int, *, e_tag: str | None = None) -> bytes:
        """All ``size`` bytes of a blob; with ``e_tag``, of exactly the blob that was listed with it.

        Raises:
            FileNotFoundError: If there is no such blob.
            BlobStoreError: If the store does not answer, or the blob is another.
        """
        if e_tag is None:
            return self.piece(key, 0, size)
        return obstore.get(self.store, key, options={"if_match": e_tag}).bytes().to_bytes()

    async def pieces(self, key: str, start: int, end: int) -> AsyncGenerator[bytes | memoryview, None]:
        """The bytes of a range one after the other, read off the event loop and a little ahead.

        A store across the network is asked for each piece anew: a client may take hours over a file, and no single
        request to the store lasts as long.

        Raises:
            FileNotFoundError: If there is no such blob.
            BlobStoreError: If the store does not answer.
        """
        if isinstance(self.store, LocalStore):
            found = _pieces_of_file(Path(str(self.store.prefix)) / key, start, end)
        else:
            found = _pieces_from_afar(self.store, key, start, end)
        async with contextlib.aclosing(found):
            async for piece in found:
                yield piece

    def list_below(self, prefix: str) -> Iterator[ListedBlob]:
        """All blobs whose keys begin with a prefix that ends in ``/``, or is empty; asked for in pages.

        Raises:
            BlobStoreError: If the store does not answer.
        """
        for page in obstore.list(self.store, prefix):
            for found in page:
                yield ListedBlob(found["path"], found["size"], found["e_tag"], found["last_modified"])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete blobs; one that is not there is none to be deleted.

        Raises:
            BlobStoreError: If the store does not answer.
        """
        if not isinstance(self.store, LocalStore):
            # A thousand in one request.
            obstore.delete(self.store, keys)
            return
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                obstore.delete(self.store, key)

    def remove_unfinished(self, *, older_than: float) -> int:
        """Delete what whoever was killed while storing a blob in a folder has left, after so many seconds.

        An S3 store keeps unfinished uploads out of sight, and deletes them by a rule of the bucket's own.

        Returns:
            How many files there were.
        """
        if not isinstance(self.store, LocalStore):
            return 0
        newest, removed = time.time() - older_than, 0
        for path in Path(str(self.store.prefix)).rglob("*#*"):
            with contextlib.suppress(FileNotFoundError):
                if _UNFINISHED.search(path.name) and path.stat().st_mtime < newest:
                    path.unlink()
                    removed += 1
        return removed

    def sign(self, method: Literal["GET", "PUT"], key: str, *, seconds: float) -> str:
        """A URL by which whoever has it may get or put this blob at the store itself, for so many seconds.

        Raises:
            TypeError: If clients are not to be sent there.
        """
        if self.signing is None:
            raise TypeError("clients are not sent to this store")
        return obstore.sign(self.signing, method, key, dt.timedelta(seconds=seconds))

    def ping(self) -> None:
        """Ask the store for anything at all; raises what the store raises when it does not answer."""
        next(iter(obstore.list(self.store, chunk_size=1)), None)


async def _pieces_of_file(path: Path, start: int, end: int) -> AsyncGenerator[bytes | memoryview, None]:
    # The library would read files in pieces of 8 KiB.
    with path.open("rb", buffering=0) as file:
        while start < end:
            size = min(end - start, PIECE_BYTES)
            # The trip to a thread takes longer than to copy what the kernel holds in memory.
            if piece := _in_memory(file.fileno(), size, start):
                await asyncio.sleep(0)
            else:
                piece = await asyncio.to_thread(os.pread, file.fileno(), size, start)
            if not piece:
                return
            start += len(piece)
            yield piece


def _in_memory(file: int, size: int, start: int) -> bytes | memoryview:
    """What can be read without waiting for a disk; nothing, where the system cannot tell."""
    if not hasattr(os, "RWF_NOWAIT"):
        return b""
    piece = bytearray(size)
    try:
        n_read = os.preadv(file, [piece], start, os.RWF_NOWAIT)
    except OSError:
        return b""
    return memoryview(piece)[:n_read]


async def _pieces_from_afar(store: ObjectStore, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
    coming: deque[asyncio.Future[obstore.Bytes]] = deque()
    try:
        for first in range(start, end, _REMOTE_PIECE_BYTES):
            last = min(first + _REMOTE_PIECE_BYTES, end)
            coming.append(asyncio.ensure_future(obstore.get_range_async(store, key, start=first, end=last)))
            if len(coming) > _PIECES_AHEAD:
                yield (await coming.popleft()).to_bytes()
        while coming:
            yield (await coming.popleft()).to_bytes()
    finally:
        for piece in coming:
            piece.cancel()


def open_blobs(url: str, *, presign: bool = False, public_endpoint: str | None = None) -> BlobStore:
    """Open ``file:///folder`` (created if missing) or ``s3://bucket/prefix`` (credentials from ``AWS_*``).

    Args:
        url: Where the blobs are.
        presign: Whether clients are to be sent to an S3 store.
        public_endpoint: Its address as clients reach it; default: as we do.
    """
    if url.startswith("file:"):
        return BlobStore(from_url(url, mkdir=True, automatic_cleanup=True))
    # Left to itself the client tries a silent store for three minutes.
    store = from_url(url, retry_config={"max_retries": 2, "retry_timeout": dt.timedelta(seconds=10)})
    if not presign or not isinstance(store, S3Store):
        return BlobStore(store)
    if public_endpoint is None:
        return BlobStore(store, store)
    # It only signs, and never speaks to that address.
    signing = S3Store.from_url(url, endpoint=public_endpoint, client_options={"allow_http": True})
    return BlobStore(store, signing)
