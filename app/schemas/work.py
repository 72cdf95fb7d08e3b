"""What all work has in common on the wire."""

import datetime as dt
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
)

from app.states import WorkState
from ot3l_core.names import Phase

DatasetName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A dataset's name or id."""
NameOfDataset = Annotated[str, BeforeValidator(lambda dataset: getattr(dataset, "name", dataset))]
"""A dataset's name, taken from its record where that is what there is."""
Share = Annotated[StrictFloat, Field(ge=0, le=1)]
ServerPath = Annotated[
    str,
    Field(min_length=1, max_length=1000, description="On the server, below one of its dataset roots."),
]

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""Any letters of any script, and nothing that controls a terminal or a log."""
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
JobTag = Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)]
Tags = Annotated[tuple[JobTag, ...], Field(max_length=20), AfterValidator(lambda tags: tuple(dict.fromkeys(tags)))]
MetadataKey = Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)]
MetadataValue = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
MOST_METADATA = 50
"""How many pairs a record may have."""


class Request(BaseModel):
    """Base of request bodies: unknown fields are refused, so that a misspelt setting is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Description(Request):
    """What an owner writes on a record to find it again; it changes nothing about the work."""

    tags: Tags = Field(default=(), description="Short words to find it by; lists filter by them.", examples=[["trial"]])
    metadata: dict[MetadataKey, MetadataValue] = Field(
        default={},
        max_length=MOST_METADATA,
        description="Whatever is to be kept beside it; not searched.",
        examples=[{"ticket": "VIS-17"}],
    )

    @property
    def columns(self) -> dict[str, Any]:
        """As the records have it."""
        return {"tags": list(self.tags), "notes": dict(self.metadata)}


class DescriptionPatch(Request):
    """What to change of a description (RFC 7396): what is left out stays as it is, null takes away."""

    tags: Tags | None = Field(default=None, description="In place of those it has.")
    metadata: dict[MetadataKey, MetadataValue | None] | None = Field(
        default=None,
        max_length=2 * MOST_METADATA,
        description=f"Merged into what it has: null removes a key. At most {MOST_METADATA} may remain.",
    )


class Submission(Request):
    """How work is asked for; no part of the work's own settings, since equal work is equal, however it came about."""

    unstored: ClassVar[frozenset[str]] = frozenset({"priority", "validate_only", "reuse", "tags", "metadata"})
    """Fields that the stored request does not have."""

    priority: StrictInt = Field(default=5, ge=0, le=9, description="Of what waits, the higher goes first.")
    validate_only: StrictBool = Field(
        default=False,
        description="Check everything, store nothing, and answer with every setting and an estimate of what it costs.",
    )

    def settings(self) -> dict[str, Any]:
        """What the work is to do, every default filled in; this is what is stored."""
        return self.model_dump(mode="json", exclude=set(self.unstored))


class ReusableSubmission(Submission):
    """How work is asked for whose result another request may already have given."""

    reuse: StrictBool = Field(
        default=False,
        description="Answer 200 with work of yours that did the same on the same images, or is about to, if there is "
        "any. It keeps its own name, tags and metadata. Never with `weights` of your own.",
    )


class Reply(BaseModel):
    """Base of response bodies."""

    model_config = ConfigDict(frozen=True, from_attributes=True, allow_inf_nan=False)


class Failure(Reply):
    """Why work failed."""

    code: str = Field(description="Stable, machine-readable name of the error.", examples=["corrupt_image"])
    message: str = Field(description="What was wrong and what would be right.")
    field: str | None = Field(default=None, description="The field of the request to change, where one is to blame.")


class WorkRead(Reply):
    """Something a worker does, and how far it is."""

    id: UUID
    priority: int = Field(description="Of what waits, the higher goes first.")
    request_id: str | None = Field(description="The `X-Request-ID` of the request that asked for it.")
    state: WorkState
    phase: Phase | None = Field(description="What the worker is doing; empty before it starts.")
    progress: Share = Field(description="Finished share of the present phase.")
    attempt: int = Field(description="How many workers have taken it; more than 1 after a worker was lost.")
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    timings: dict[str, float] | None = Field(description="Seconds spent in each phase, once finished.")
    error: Failure | None = Field(description="Why it failed, if it did.")


class Described(Reply):
    """What its owner wrote on it."""

    tags: list[str]
    # A record has it as `notes`; whoever reads our reply has it by its own name.
    metadata: dict[str, str] = Field(validation_alias=AliasChoices("notes", "metadata"))


class Estimate(Reply):
    """What work will cost, to an order of magnitude."""

    seconds: float = Field(description="On an idle worker, with no feature kept from earlier work.")
    seconds_by_phase: dict[Phase, float]
    memory_bytes: int = Field(description="The most that the worker holds at once.")
    basis: str = Field(description="What the seconds come from: earlier work of yours, or rough rates.")


class Preview(Reply):
    """What a request would have done."""

    valid: Literal[True] = True
    request: dict[str, Any] = Field(description="Every setting, defaults filled in.")
    would_reuse: UUID | None = Field(description="The work that would have been answered with, in place of new.")
    estimate: Estimate


class ArtifactRead(Reply):
    """A file that the work made; served below its own address as ``artifacts/{name}``."""

    name: str
    size: int
    sha256: str
    media_type: str
