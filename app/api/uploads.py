"""Uploads: getting data in."""

import asyncio
import base64
import binascii
import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Request, Response, status
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from app.api.bodies import allow_body, announced_size, body_of
from app.api.dependencies import ReadingDep, WritingDep
from app.api.forms import MOST_BESIDE_THE_FILE, FileForm
from app.api.idempotency import REPLAYED_HEADER, AskedDep, IdempotencyKey, asked_with, mark_replayed
from app.api.problems import problems, reference
from app.errors import ChecksumMismatchError, InvalidRequestError, RequestTimeoutError, UnsupportedMediaError
from app.schemas.uploads import FileCreate, PartRead, PartUrl, UploadCreate, UploadRead
from app.services.context import Context
from app.services.idempotency import Done
from app.services.incoming import Incoming, begin_file, end_file, forget_file, keep_next
from app.services.uploads import (
    abandon_upload,
    begin_upload,
    complete_upload,
    expect_part,
    keep_part,
    read_upload,
    sign_part,
)

router = APIRouter(prefix="/uploads", tags=["uploads"])

PART_SECONDS = 600.0
"""How long a part may take to come: parts that come are held in memory."""
_PLACES = asyncio.Semaphore(64)
"""For parts that come at the same time; who comes when all are taken waits."""
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Of the file; refused if it differs."},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": reference(UploadCreate)},
            "multipart/form-data": {"schema": _FORM},
        },
    }
}
_PART_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": {"description": "The upload.", "schema": {"type": "string"}}} | REPLAYED_HEADER}
}
_REPLAYED: dict[int | str, dict[str, Any]] = {200: {"headers": REPLAYED_HEADER}}
_DIGESTS = re.compile(r"(?:^|,)\s*(sha-256|sha-512)=:([A-Za-z0-9+/=]*):", re.ASCII)

PartNumber = Annotated[int, Path(ge=1, description="Counts from 1.")]
ContentDigest = Annotated[
    str | None, Header(description="RFC 9530; sha-256 and sha-512 are checked.", examples=["sha-256=:47DEQpj8HBSa+=:"])
]


@router.post(
    "", status_code=status.HTTP_201_CREATED, responses=_CREATED | problems(400, 408, 413, 415, 422), openapi_extra=_BODY
)
async def create_upload(
    request: Request, context: WritingDep, response: Response, key: IdempotencyKey = None
) -> UploadRead:
    """Begin an upload whose parts are to follow, or send a whole file as a form; it is never spooled to disk."""
    content_type = request.headers.get("content-type", "")
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            done = await _begin_upload(request, context, key)
        case "multipart/form-data":
            async with _PLACES:
                done = await _receive_file(request, context, FileForm(content_type), key)
        case _:
            raise UnsupportedMediaError(
                "An upload begins with application/json, or is a file in multipart/form-data.",
                headers={"Accept-Post": "application/json, multipart/form-data"},
            )
    response.headers["Location"] = f"/uploads/{done.subject_id}"
    if done.fresh is not None:
        return done.fresh
    mark_replayed(response)
    return await run_in_threadpool(read_upload, context, done.subject_id)


@router.get("/{upload_id}", responses=problems(404, 503))
def get_upload(upload_id: UUID, context: ReadingDep) -> UploadRead:
    """Show an upload: which parts have arrived, so that a client can go on with the others."""
    return read_upload(context, upload_id)


@router.put(
    "/{upload_id}/parts/{number}",
    responses=problems(400, 404, 408, 409, 422, 503),
    openapi_extra=_PART_BODY,
)
async def put_upload_part(
    upload_id: UUID,
    number: PartNumber,
    request: Request,
    reading: ReadingDep,
    context: WritingDep,
    content_digest: ContentDigest = None,
) -> PartRead:
    """Send the bytes of a part; sent again, it takes the place of what was there."""
    size = await run_in_threadpool(expect_part, reading, upload_id, number)
    async with _PLACES:
        content = await _read_part(request, size)
        if content_digest is not None:
            await run_in_threadpool(_check_digest, content_digest, content)
        return await run_in_threadpool(keep_part, context, upload_id, number, content)


@router.post("/{upload_id}/parts/{number}/url", responses=_REPLAYED | problems(404, 409, 422, 503))
def create_upload_part_url(
    upload_id: UUID, number: PartNumber, context: WritingDep, asked: AskedDep, response: Response
) -> PartUrl:
    """Give out a URL by which the part can be put into the S3 store itself, where the operator allows that."""
    url, done = sign_part(context, asked, upload_id, number)
    if done.fresh is None:
        mark_replayed(response)
    return url


@router.post("/{upload_id}/complete", name="complete_upload", responses=_REPLAYED | problems(404, 409, 422, 503))
def request_completion(upload_id: UUID, context: WritingDep, asked: AskedDep, response: Response) -> UploadRead:
    """End an upload once all parts are there; asked again, it answers the same."""
    done = complete_upload(context, asked, upload_id)
    if done.fresh is not None:
        return done.fresh
    mark_replayed(response)
    return read_upload(context, upload_id)


@router.delete("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404, 409))
def delete_upload(upload_id: UUID, context: WritingDep) -> None:
    """Delete an upload that no dataset uses, complete or not."""
    abandon_upload(context, upload_id)


async def _begin_upload(request: Request, context: Context, key: str | None) -> Done[UploadRead]:
    body = await request.body()
    with _explained():
        announced = UploadCreate.model_validate_json(body)
    asked = None if key is None else asked_with(request, key, body)
    return await run_in_threadpool(begin_upload, context, asked, announced)


async def _receive_file(request: Request, context: Context, form: FileForm, key: str | None) -> Done[UploadRead]:
    allow_body(request, context.settings.max_upload_bytes + MOST_BESIDE_THE_FILE)
    incoming, done = None, None
    try:
        async with asyncio.timeout(PART_SECONDS) as patience:
            async for piece in body_of(request):
                form.feed(piece)
                if incoming is None and form.filename is not None:
                    with _explained():
                        file = FileCreate(filename=form.filename)
                    size = announced_size(request)
                    incoming = await run_in_threadpool(begin_file, context, file.filename, at_most=size)
                while incoming is not None and len(form.content) >= incoming.part_size:
                    await run_in_threadpool(keep_next, context, incoming, form.take(incoming.part_size))
                    patience.reschedule(asyncio.get_running_loop().time() + PART_SECONDS)
        if incoming is None or not form.complete:
            raise InvalidRequestError("The form holds no file, or ends before it does: send the whole of it.")
        done = await _end_file(request, context, form, incoming, key)
    except TimeoutError as error:
        raise _too_slow() from error
    finally:
        if incoming is not None and done is None:
            await run_in_threadpool(forget_file, context, incoming)
    return done


async def _end_file(
    request: Request, context: Context, form: FileForm, incoming: Incoming, key: str | None
) -> Done[UploadRead]:
    with _explained():
        file = FileCreate(filename=form.filename or "", sha256=form.field("sha256"))
    if form.content:
        await run_in_threadpool(keep_next, context, incoming, form.take(incoming.part_size))
    # Boundaries differ from one sending to the next: what is sent is the file.
    sent = f"{file.filename}\n{incoming.sha256}\n{file.sha256}".encode()
    asked = None if key is None else asked_with(request, key, sent)
    return await run_in_threadpool(end_file, context, asked, incoming, sha256=file.sha256)


async def _read_part(request: Request, size: int) -> bytes:
    """Exactly the bytes of a part.

    Raises:
        InvalidRequestError: If there are fewer, or more.
        RequestTimeoutError: If they do not come in time.
    """
    if announced_size(request) not in {None, size}:
        raise _wrong_size(size)
    allow_body(request, math.inf)
    content = bytearray()
    try:
        async with asyncio.timeout(PART_SECONDS):
            async for piece in body_of(request):
                content += piece
                if len(content) > size:
                    raise _wrong_size(size)
    except TimeoutError as error:
        raise _too_slow() from error
    if len(content) < size:
        raise _wrong_size(size)
    return bytes(content)


def _check_digest(header: str, content: bytes) -> None:
    """Compare a part with its Content-Digest.

    Raises:
        InvalidRequestError: If the header is malformed.
        ChecksumMismatchError: If it is another one.
    """
    for algorithm, encoded in _DIGESTS.findall(header):
        try:
            announced = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise InvalidRequestError.of_field("Content-Digest", "is not sha-256=:base64: (RFC 9530)") from error
        if announced != hashlib.new(algorithm.replace("-", ""), content).digest():
            raise ChecksumMismatchError.of_field("Content-Digest", f"what came has another {algorithm}: send it again")


@contextmanager
def _explained() -> Iterator[None]:
    """Explain what is wrong with a body that is read here as it is explained where FastAPI reads it."""
    try:
        yield
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in found]) from error


def _wrong_size(size: int) -> InvalidRequestError:
    return InvalidRequestError(f"This part must have exactly {size:,} bytes.")


def _too_slow() -> RequestTimeoutError:
    return RequestTimeoutError(f"{PART_SECONDS:g} seconds are the most for each part: send it again.")
