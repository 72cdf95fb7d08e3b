"""Files on their way in: in parts, each with its checksum, those that are there already left out."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from app.client.downloads import OnBytes
from app.client.errors import NotUploadableError
from app.client.flows import send
from app.client.nouns import begin_upload, complete_upload, send_part, show_upload
from app.client.packing import one_file
from app.client.wire import Wire
from app.schemas.uploads import UploadCreate, UploadRead


async def upload(wire: Wire, path: Path, *, resume: UUID | None, on_bytes: OnBytes | None) -> UploadRead:
    """Bring a file, or a folder as a zip, to the service.

    Args:
        wire: The way there.
        path: What to bring.
        resume: An upload of the same file that was begun before; its missing parts are sent.
        on_bytes: Told after each part.

    Raises:
        NotUploadableError: If nothing is there, or it is not what ``resume`` was begun for.
        RefusedError: If the service says no.
    """
    async with _packed(wire, path) as file:
        size, sha256 = await wire.work(lambda: _facts(file))
        if resume is None:
            begun = await send(wire, begin_upload(UploadCreate(filename=file.name, size=size, sha256=sha256)))
        else:
            begun = _require_same(await send(wire, show_upload(resume)), size, sha256)
        await _send_missing(wire, begun, file, on_bytes)
        return begun if begun.completed_at else await send(wire, complete_upload(begun.id))


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


def _facts(file: Path) -> tuple[int, str]:
    with file.open("rb") as content:
        return file.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()


def _part(file: Path, size: int, number: int) -> bytes:
    with file.open("rb") as content:
        content.seek((number - 1) * size)
        return content.read(size)


def _require_same(begun: UploadRead, size: int, sha256: str) -> UploadRead:
    if begun.size != size or begun.sha256 not in {None, sha256}:
        raise NotUploadableError(f"The upload {begun.id} was begun for another file than this: begin a new one.")
    return begun
