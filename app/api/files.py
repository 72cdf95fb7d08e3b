"""Sending stored files: whole, in part, or not at all when the client has them (RFC 9110, sections 13 and 14)."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request, Response, status
from fastapi.responses import StreamingResponse

from app.errors import RangeError, UnavailableError
from app.store.blobs import BlobStore, BlobStoreError
from app.store.records import ArtifactRecord

_ETAG = {"ETag": {"description": "The file's sha256, in quotes.", "schema": {"type": "string"}}}
_FILE = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": _FILE, "headers": _ETAG},
    206: {"description": "The range that was asked for.", "content": _FILE, "headers": _ETAG},
    304: {"description": "The client's copy is current.", "headers": _ETAG},
}
# More digits than any file has bytes: such a header means nothing and is ignored.
_SINGLE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a client says of the part that it wants and the copy that it has."""

    head_only: bool
    byte_range: str | None
    if_range: str | None
    if_none_match: str | None


def _conditions(
    request: Request,
    byte_range: Annotated[str | None, Header(alias="Range", examples=["bytes=1000-"])] = None,
    if_range: Annotated[str | None, Header(alias="If-Range")] = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Conditions:
    return Conditions(request.method == "HEAD", byte_range, if_range, if_none_match)


ConditionsDep = Annotated[Conditions, Depends(_conditions)]
ArtifactName = Annotated[str, Path(pattern=r"^[a-z0-9._-]{1,100}$")]


def send_artifact(artifact: ArtifactRecord, blobs: BlobStore, asked: Conditions) -> Response:
    """Stream an artifact from the store.

    Raises:
        RangeError: If the range lies outside the file.
        UnavailableError: If the store does not give the file.
    """
    etag = f'"{artifact.sha256}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if asked.if_none_match is not None and _names(asked.if_none_match, etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    part = None
    if asked.byte_range is not None and asked.if_range in {None, etag} and not asked.head_only:
        part = parse_range(asked.byte_range, artifact.size)
    start, end = part or (0, artifact.size)
    headers["Content-Length"] = str(end - start)
    headers["Content-Disposition"] = f'attachment; filename="{artifact.name}"'
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{artifact.size}"
    if asked.head_only:
        return Response(headers=headers, media_type=artifact.media_type)
    try:
        content = blobs.stream(artifact.key, start, end)
    except (BlobStoreError, OSError) as error:
        raise UnavailableError("The blob store does not give the file: try again in a while.") from error
    return StreamingResponse(
        content,
        status_code=status.HTTP_200_OK if part is None else status.HTTP_206_PARTIAL_CONTENT,
        media_type=artifact.media_type,
        headers=headers,
    )


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


def _names(if_none_match: str, etag: str) -> bool:
    candidates = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return "*" in candidates or etag in candidates
