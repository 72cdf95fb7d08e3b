"""Uploads on the wire."""

import datetime as dt
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StrictInt

from app.schemas.work import PRINTABLE, Reply, Request

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["9f86d081884c7d659a2feaa0c55ad015" * 2])]
FileName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        pattern=PRINTABLE,
        description="A label, from which a dataset's name can be made; never a path on the server.",
        examples=["flowers.zip"],
    ),
]


class UploadCreate(Request):
    """A file that is to come in parts."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"filename": "flowers.zip", "size": 734003200}], "title": "UploadCreate"}
    )

    filename: FileName
    size: StrictInt = Field(ge=1, description="Bytes of the whole file.")
    sha256: Sha256 | None = Field(
        default=None, description="Of the whole file. A worker checks it when it puts the parts together."
    )


class FileCreate(Request):
    """What a form says of the file in it."""

    filename: FileName
    sha256: Sha256 | None = None


class PartRead(Reply):
    """A part that has arrived."""

    number: int = Field(description="Counts from 1.")
    size: int
    sha256: str | None = Field(description="Empty where the client put the part into the store itself.")


class UploadRead(Reply):
    """A file on its way in, or complete."""

    id: UUID
    filename: str
    size: int
    sha256: str | None = Field(description="As it was announced, or as it was found to be.")
    part_size: int = Field(description="Bytes of every part but the last, which has what remains.")
    n_parts: int
    parts: list[PartRead] = Field(description="Those that have arrived; the others are to be sent.")
    created_at: dt.datetime
    expires_at: dt.datetime = Field(description="When it is deleted, unless parts come or a dataset uses it.")
    completed_at: dt.datetime | None


class PartUrl(Reply):
    """Where to put a part without a way through this service."""

    method: str = Field(examples=["PUT"])
    url: str = Field(description="Whoever has it may put the part: pass it to nobody.")
    size: int = Field(description="Bytes that the part must have.")
    expires_in: int = Field(description="Seconds within which to begin.")
