"""Bytes by key: a local folder or an S3-compatible store behind one interface, through obstore."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.store import ObjectStore, from_url

CHUNK_BYTES = 1 << 20
BlobStoreError = obstore.exceptions.BaseError
"""What is raised when the store does not answer or refuses."""


@dataclass(frozen=True, slots=True)
class BlobStore:
    """Immutable blobs under ``/``-separated keys. A blob is there whole or not at all."""

    store: ObjectStore

    def put_file(self, key: str, path: Path) -> None:
        """Store the bytes of a file; storing the same key again replaces it."""
        obstore.put(self.store, key, path)

    def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end``; found at once, read as they are asked for.

        Raises:
            FileNotFoundError: If there is no such blob.
            BlobStoreError: If the store does not answer.
        """
        if start == end:
            return iter(())
        found = obstore.get(self.store, key, options={"range": (start, end)})
        return (bytes(chunk) for chunk in found.stream(min_chunk_size=CHUNK_BYTES))

    def read(self, key: str, size: int) -> bytes:
        """All ``size`` bytes of a blob.

        Raises:
            FileNotFoundError: If there is no such blob.
            BlobStoreError: If the store does not answer.
        """
        return b"".join(self.stream(key, 0, size))

    def ping(self) -> None:
        """Ask the store for anything at all; raises what the store raises when it does not answer."""
        next(iter(obstore.list(self.store, chunk_size=1)), None)


def open_blobs(url: str) -> BlobStore:
    """Open ``file:///folder`` (created if missing) or ``s3://bucket/prefix`` (credentials from ``AWS_*``)."""
    if url.startswith("file:"):
        return BlobStore(from_url(url, mkdir=True))
    # Left to itself the client tries a silent store for three minutes.
    return BlobStore(from_url(url, retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)}))
