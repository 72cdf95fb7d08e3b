"""Where the paths of requests may lead."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_UNWRITABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\\\]")
_LONGEST_KEY: Final = 1024


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """An object of an S3 store, or all objects below a prefix.

    Attributes:
        bucket: The bucket.
        key: The object, or the prefix without its last slash; empty for the whole bucket.
    """

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def is_below(self, other: "BucketPlace") -> bool:
        """Whether it is the other one, or part of it."""
        return self.bucket == other.bucket and (not other.key or f"{self.key}/".startswith(f"{other.key}/"))


def is_remote(path: str) -> bool:
    """Whether a path is meant to be an address."""
    return "://" in path or path.lower().startswith("s3:")


def bucket_place(url: str) -> BucketPlace:
    """What ``s3://bucket/key`` names; nothing in it is decoded.

    Raises:
        ValueError: If it is of another scheme, or could mean something else to somebody.
    """
    scheme, _, rest = url.partition("://")
    if scheme != "s3":
        raise ValueError("must begin with s3://")
    bucket, _, key = rest.removesuffix("/").partition("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise ValueError("must name a bucket: s3://bucket/prefix")
    if key and not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise ValueError("must not have empty parts, nor . and .. among them")
    if _UNWRITABLE.search(key) or len(key) > _LONGEST_KEY:
        raise ValueError("must be short text, without control characters and backslashes")
    return BucketPlace(bucket, key)


def places_below(path: str, roots: tuple[Path, ...]) -> list[Path]:
    """Every place below a root that a path can mean, those where something is first; relative to each root in turn.

    Args:
        path: What a client sent, relative or absolute.
        roots: Where may be read from.

    Raises:
        ValueError: If it is not a path.
    """
    try:
        # Joining an absolute path to a root gives that path, so both kinds go the same way.
        below = [place for root in roots if (place := (root.resolve() / path).resolve()).is_relative_to(root.resolve())]
        return sorted(below, key=lambda place: not place.exists())
    except OSError as error:
        raise ValueError(f"{path!r} is not a path") from error
