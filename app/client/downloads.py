"""Files, from where an earlier try ended, and compared with the checksum that the service announces."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from app.client.calls import Call, Reply, Request, not_ours, refusal
from app.client.errors import ConnectionFailedError, DamagedDownloadError
from app.client.flows import REDIRECTS, passes, seconds_before, send
from app.client.wire import Stream, Wire

_SHA256_TAG: Final = re.compile(r'"([0-9a-f]{64})"')
_DIGEST: Final = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/\d+")


class OnBytes(Protocol):
    """Told how many bytes are there, of how many."""

    def __call__(self, done: int, total: int, /) -> None:
        """Take notice."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What the service says of a file before it sends it.

    Attributes:
        size: Bytes.
        sha256: In hexadecimal.
    """

    size: int
    sha256: str

    def request(self, address: str, have: int) -> Request:
        """Ask for what is missing; for all of it, where nothing is there."""
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": f'"{self.sha256}"'}
        return Request("GET", address, headers)


def announced(reply: Reply) -> Announced:
    """Read the reply to a HEAD.

    Raises:
        UnexpectedReplyError: If size or checksum are missing.
    """
    size, sha256 = reply.headers.get("content-length", ""), _sha256_of(reply.headers)
    if not size.isdecimal() or sha256 is None:
        raise not_ours(reply)
    return Announced(int(size), sha256)


def begins_at(status: int, headers: Mapping[str, str], have: int) -> int | None:
    """Which byte of the file the body begins with; None where it is no part of it that can be used."""
    if status == 200:
        return 0
    found = _RANGE.fullmatch(headers.get("content-range", "")) if status == 206 else None
    return have if found and int(found[1]) == have else None


@dataclass(slots=True)
class PartFile:
    """What has come of a file, below a name that says which file it is a part of."""

    target: Path
    expected: Announced

    @property
    def path(self) -> Path:
        """Beside the target; another file's part is never gone on with."""
        return self.target.with_name(f"{self.target.name}.{self.expected.sha256[:16]}.part")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self) -> None:
        """Make the file and its folder, if they are not there."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()

    def cut(self, size: int) -> None:
        """Forget what comes after this many bytes."""
        with self.path.open("r+b") as file:
            file.truncate(size)

    def add(self, piece: bytes) -> None:
        """Take what comes next."""
        with self.path.open("ab") as file:
            file.write(piece)

    def is_whole(self) -> bool:
        """Whether it is the file that was announced."""
        if self.size != self.expected.size:
            return False
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.expected.sha256

    def finish(self) -> Path:
        """Give it its name."""
        return self.path.replace(self.target)


def target_of(path: str | Path, name: str) -> Path:
    """Where a file goes: below its own name where a folder is meant."""
    return Path(path) / name if Path(path).is_dir() else Path(path)


async def download(wire: Wire, address: str, target: Path, *, on_bytes: OnBytes | None) -> Path:
    """Bring a file here, wholly or not at all.

    What came of it stays beside ``target`` when it fails, and the next call goes on from there.

    Raises:
        DamagedDownloadError: If it is not the file that was announced, twice.
        ConnectionFailedError: If the connection broke again and again, and nothing came in between.
        RefusedError: If the service says no.
    """
    expected = await send(wire, Call(Request("HEAD", address, {"Accept-Encoding": "identity"}), announced))
    part = PartFile(target, expected)
    part.begin()
    for _ in range(2):
        await _fill(wire, address, part, on_bytes)
        if await wire.work(part.is_whole):
            return part.finish()
        # What was left of an earlier try may be damaged: once more, from the beginning.
        part.cut(0)
    part.path.unlink()
    raise DamagedDownloadError(f"{address}: what came twice has not the sha256 {expected.sha256}")


async def _fill(wire: Wire, address: str, part: PartFile, on_bytes: OnBytes | None) -> None:
    failures = 0
    while (have := part.size) < part.expected.size:
        try:
            await _fetch_rest(wire, address, part, on_bytes)
        except Exception as error:
            failures = failures + 1 if part.size <= have else 1
            if not passes(error) or failures >= wire.attempts:
                raise
            await wire.sleep(seconds_before(failures, error))
    if part.size > part.expected.size:
        part.cut(0)


async def _fetch_rest(wire: Wire, address: str, part: PartFile, on_bytes: OnBytes | None) -> None:
    have = part.size
    async with wire.stream(part.expected.request(address, have)) as stream:
        if stream.status in REDIRECTS:
            elsewhere = stream.headers.get("location", "")
        else:
            await _take(stream, part, have, on_bytes)
            return
    # A whole address: the wire sends no key there.
    async with wire.stream(part.expected.request(elsewhere, 0)) as stream:
        await _take(stream, part, 0, on_bytes)


async def _take(stream: Stream, part: PartFile, have: int, on_bytes: OnBytes | None) -> None:
    start = begins_at(stream.status, stream.headers, have)
    if start is None:
        reply = await stream.whole()
        # Of a range that the service does not have, the beginning is asked for.
        part.cut(0)
        raise refusal(reply) or not_ours(reply)
    part.cut(start)
    done = start
    async for piece in stream.pieces:
        part.add(piece)
        done += len(piece)
        if on_bytes is not None:
            on_bytes(done, part.expected.size)
    if done < part.expected.size:
        raise ConnectionFailedError("the file ended before its last byte")


def _sha256_of(headers: Mapping[str, str]) -> str | None:
    if found := _SHA256_TAG.fullmatch(headers.get("etag", "")):
        return found[1]
    if found := _DIGEST.search(headers.get("repr-digest", "")):
        try:
            return base64.b64decode(found[1], validate=True).hex()
        except binascii.Error:
            return None
    return None
