"""Objects of others in S3, to be read: listed, and copied as they were listed."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import obstore
from obstore.store import S3Store

from app.store.blobs import BlobChangedError, BlobStoreError, ListedBlob

_PIECE_BYTES: Final = 16 << 20
_PATIENCE: Final = dt.timedelta(seconds=10)
_NO_BUCKET: Final = "NoSuchBucket"
RefusedError = (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError)
"""What is raised where the store does not let us read."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that is only read.

    Attributes:
        store: Where it is.
    """

    store: S3Store

    def find(self, key: str) -> ListedBlob | None:
        """The object of exactly this key.

        Raises:
            BlobStoreError: If the store does not answer, or refuses.
        """
        try:
            found = obstore.head(self.store, key)
        except FileNotFoundError:
            return None
        return ListedBlob(found["path"], found["size"], found["e_tag"], found["last_modified"])

    def list_below(self, key: str) -> Iterator[ListedBlob]:
        """All objects below a folder; asked for in pages.

        Raises:
            FileNotFoundError: If there is no such bucket.
            BlobStoreError: If the store does not answer, or refuses.
        """
        try:
            for page in obstore.list(self.store, f"{key}/" if key else None):
                for found in page:
                    yield ListedBlob(found["path"], found["size"], found["e_tag"], found["last_modified"])
        except BlobStoreError as error:
            # The library has no error of its own for it.
            if _NO_BUCKET not in str(error):
                raise
            raise FileNotFoundError(_NO_BUCKET) from error

    def copy(self, listed: ListedBlob, file: Path, *, on_piece: Callable[[int], None]) -> None:
        """Write an object into a file, piece by piece: no single request lasts long.

        Args:
            listed: The object.
            file: Where to.
            on_piece: Told the size of each piece; may raise.

        Raises:
            FileNotFoundError: If it is gone.
            BlobChangedError: If it is another one than was listed.
            BlobStoreError: If the store does not answer, or refuses.
        """
        with file.open("wb") as sink:
            for start in range(0, listed.size, _PIECE_BYTES):
                end = min(start + _PIECE_BYTES, listed.size)
                asked: obstore.GetOptions = {"range": (start, end)}
                if listed.e_tag is not None:
                    asked["if_match"] = listed.e_tag
                piece = obstore.get(self.store, listed.key, options=asked).bytes()
                if len(piece) != end - start:
                    raise BlobChangedError(f"{listed.key} is shorter than it was listed")
                sink.write(piece)
                on_piece(len(piece))


def open_bucket(name: str, *, endpoint: str | None) -> Bucket:
    """A bucket, with credentials from ``AWS_*``.

    Args:
        name: Its name.
        endpoint: The store's address; None for that of ``AWS_ENDPOINT_URL``, or AWS.

    Raises:
        BlobStoreError: If the settings are none.
    """
    if endpoint is None:
        return Bucket(S3Store(name, retry_config={"max_retries": 2, "retry_timeout": _PATIENCE}))
    return Bucket(
        S3Store(
            name,
            endpoint=endpoint,
            client_options={"allow_http": endpoint.startswith("http://")},
            retry_config={"max_retries": 2, "retry_timeout": _PATIENCE},
        )
    )
