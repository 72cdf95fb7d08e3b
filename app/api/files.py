"""Sending stored files: whole, in part, or not at all when the client has them (RFC 9110, sections 13 and 14)."""

import re
from typing import Any

from fastapi import Response, status
from fastapi.responses import StreamingResponse

from app.errors import RangeError
from app.store.blobs import BlobStore
from app.store.records import ArtifactRecord

BINARY = {"schema": {"type": "string", "format": "binary"}}
BINARY_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"application/octet-stream": BINARY}},
    206: {"description": "The range that was asked for.", "content": {"application/octet-stream": BINARY}},
    304: {"description": "The client's copy is current."},
}
_SINGLE_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def send_artifact(
    artifact: ArtifactRecord,
    blobs: BlobStore,
    *,
    byte_range: str | None,
    if_range: str | None,
    if_none_match: str | None,
) -> Response:
    """Stream an artifact from the store.

    Raises:
        RangeError: If the range lies outside the file.
    """
    etag = f'"{artifact.sha256}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if if_none_match is not None and _names(if_none_match, etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    part = None
    if byte_range is not None and if_range in {None, etag}:
        part = parse_range(byte_range, artifact.size)
    start, end = part or (0, artifact.size)
    headers["Content-Length"] = str(end - start)
    headers["Content-Disposition"] = f'attachment; filename="{artifact.name}"'
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{artifact.size}"
    return StreamingResponse(
        blobs.stream(artifact.key, start, end),
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
