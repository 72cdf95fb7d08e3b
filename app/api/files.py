"""Sending stored files: whole, in part, or not at all when the client has them (RFC 9110, sections 13 and 14)."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request, Response, status
from fastapi.responses import StreamingResponse

from app.api.problems import problems
from app.errors import PreconditionFailedError, RangeError, UnavailableError
from app.store.blobs import PIECE_BYTES, BlobStore, BlobStoreError
from app.store.records import ArtifactRecord

REDIRECT_SECONDS = 300
"""How long a client that is sent to the store may take to get there; the download may take longer."""

_MARKS = {
    "ETag": {"description": "The file's sha256, in quotes.", "schema": {"type": "string"}},
    "Repr-Digest": {"description": "The same as RFC 9530 writes it.", "schema": {"type": "string"}},
}
_FILE = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": _FILE, "headers": _MARKS},
    206: {"description": "The range that was asked for.", "content": _FILE, "headers": _MARKS},
    304: {"description": "The client's copy is current.", "headers": {"ETag": _MARKS["ETag"]}},
    307: {
        "description": "The file is at the store itself, for some minutes (where the operator sends clients there).",
        "headers": {"Location": {"schema": {"type": "string"}}},
    },
    **problems(404, 409, 412, 416),
}
# More digits than any file has bytes: such a header means nothing and is ignored.
_SINGLE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_ENTITY_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a client says of the part that it wants and the copy that it has."""

    head_only: bool
    byte_range: str | None
    if_range: str | None
    if_match: str | None
    if_none_match: str | None


def _conditions(
    request: Request,
    byte_range: Annotated[str | None, Header(alias="Range", examples=["bytes=1000-"])] = None,
    if_range: Annotated[str | None, Header(alias="If-Range")] = None,
    if_match: Annotated[list[str] | None, Header(alias="If-Match")] = None,
    if_none_match: Annotated[list[str] | None, Header(alias="If-None-Match")] = None,
) -> Conditions:
    # A list may come as several headers.
    first, second = (None if lines is None else ",".join(lines) for lines in (if_match, if_none_match))
    return Conditions(request.method == "HEAD", byte_range, if_range, first, second)


ConditionsDep = Annotated[Conditions, Depends(_conditions)]
ArtifactName = Annotated[str, Path(pattern=r"^[a-z0-9._-]{1,100}$")]


def send_artifact(artifact: ArtifactRecord, blobs: BlobStore, asked: Conditions) -> Response:
    """Send an artifact, or send the client to the store for it.

    Conditions are judged here, in the order of RFC 9110, section 13.2.2: the store knows the file by another ETag. What
    it would judge by that, a request with If-Match or If-Range, is therefore answered from here.

    Raises:
        PreconditionFailedError: If the client asks for another file than this.
        RangeError: If the range lies outside the file.
        UnavailableError: If the store does not give the file.
    """
    etag = f'"{artifact.sha256}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if asked.if_match is not None and not _names(asked.if_match, etag, weakly=False):
        raise PreconditionFailedError(f"If-Match: the file's ETag is {etag}.", headers={"ETag": etag})
    if asked.if_none_match is not None and _names(asked.if_none_match, etag, weakly=True):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    part = None
    if asked.byte_range is not None and asked.if_range in {None, etag} and not asked.head_only:
        part = parse_range(asked.byte_range, artifact.size)
    if blobs.signing is not None and not asked.head_only and asked.if_match is None and asked.if_range is None:
        return _redirect(artifact, blobs)
    start, end = part or (0, artifact.size)
    headers["Content-Length"] = str(end - start)
    headers["Content-Disposition"] = f'attachment; filename="{artifact.name}"'
    headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(artifact.sha256)).decode()}:"
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{artifact.size}"
    if asked.head_only:
        return Response(headers=headers, media_type=artifact.media_type)
    return StreamingResponse(
        _open(artifact, blobs, start, end),
        status_code=status.HTTP_200_OK if part is None else status.HTTP_206_PARTIAL_CONTENT,
        media_type=artifact.media_type,
        headers=headers,
    )


def _open(artifact: ArtifactRecord, blobs: BlobStore, start: int, end: int) -> AsyncIterator[bytes | memoryview]:
    """The bytes of a file, the first of them read already: a file that is not there is found out before the reply."""
    try:
        first = blobs.piece(artifact.key, start, min(start + PIECE_BYTES, end))
    except (BlobStoreError, OSError) as error:
        raise UnavailableError("The blob store does not give the file: try again in a while.") from error

    async def content() -> AsyncIterator[bytes | memoryview]:
        yield first
        if (read := start + len(first)) < end:
            async with aclosing(blobs.pieces(artifact.key, read, end)) as pieces:
                async for piece in pieces:
                    yield piece

    return content()


def _redirect(artifact: ArtifactRecord, blobs: BlobStore) -> Response:
    try:
        url = blobs.sign("GET", artifact.key, seconds=REDIRECT_SECONDS)
    except BlobStoreError as error:
        raise UnavailableError("The blob store does not let files be signed for: try again in a while.") from error
    headers = {"Location": url, "Cache-Control": "private, no-store"}
    return Response(status_code=status.HTTP_307_TEMPORARY_REDIRECT, headers=headers)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The half-open byte range that a Range header asks for.

    Returns:
        ``(start, end)``, or None where the header is to be ignored: other units, several ranges, not well-formed.

    Raises:
        RangeError: If it is well-formed and lies outside the file.
    """
    match = _SINGLE_RANGE.fullmatch(header.strip().replace(" ", ""))
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise RangeError(
            f"The file has {size} bytes: ask for a range inside it.", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end


def _names(condition: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags names this one; a weak tag does only where weak comparison is asked for."""
    tags = _ENTITY_TAG.findall(condition)
    return condition.strip() == "*" or any(tag == etag and (weakly or not weak) for weak, tag in tags)
