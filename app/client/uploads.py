"""Files on their way in: in parts, each with its checksum, those that are there already left out."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.client.downloads import OnBytes
from app.client.errors import NotFoundError
from app.client.flows import send
from app.client.nouns import begin_upload, complete_upload, go_on_with_upload, send_part
from app.client.packing import one_file
from app.client.wire import Wire
from app.schemas.uploads import UploadCreate, UploadRead


async def upload(wire: Wire, path: Path, *, on_bytes: OnBytes | None) -> UploadRead:
    """Bring a file, or a folder as a zip, to the service; what was begun with the same bytes within a day goes on.

    Args:
        wire: The way there.
        path: What to bring.
        on_bytes: Told after each part.

    Raises:
        NotUploadableError: If nothing is there.
        RefusedError: If the service says no.
    """
    async with _packed(wire, path) as file:
        begun = await _begin(wire, await wire.work(lambda: _announcement(file)))
        await _send_missing(wire, begun, file, on_bytes)
        return begun if begun.completed_at else await send(wire, complete_upload(begun.id))


async def _begin(wire: Wire, file: UploadCreate) -> UploadRead:
    try:
        return await send(wire, go_on_with_upload(file))
    except NotFoundError:
        # It was deleted since.
        return await send(wire, begin_upload(file))


async def _send_missing(wire: Wire, begun: UploadRead, file: Path, on_bytes: OnBytes | None) -> None:
    arrived = {part.number: part.size for part in begun.parts}
    done = sum(arrived.values())
    for number in range(1, begun.n_parts + 1):
        if number not in arrived:
            part = _part(file, begun.part_size, number)
            digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
            await send(wire, send_part(begun.id, number, part, digest))
            done += len(part)
        if on_bytes is not None:
            on_bytes(done, begun.size)


@asynccontextmanager
async def _packed(wire: Wire, path: Path) -> AsyncIterator[Path]:
    packed = one_file(path)
    file = await wire.work(packed.__enter__)
    try:
        yield file
    finally:
        packed.__exit__(None, None, None)


def _announcement(file: Path) -> UploadCreate:
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return UploadCreate(filename=file.name, size=file.stat().st_size, sha256=sha256)


def _part(file: Path, size: int, number: int) -> bytes:
    with file.open("rb") as content:
        content.seek((number - 1) * size)
        return content.read(size)
