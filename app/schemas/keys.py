"""API keys on the wire."""

import datetime as dt
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StrictFloat

from app.principals import Scope
from app.schemas.work import Reply, Request, Title

DAY = 86_400
LONGEST_LIFE = 3650 * DAY
LONGEST_GRACE = 30 * DAY

# One that is named twice is allowed once: nothing to refuse.
Scopes = Annotated[
    frozenset[Scope], Field(min_length=1, json_schema_extra=lambda schema: schema.pop("uniqueItems", None))
]


class KeyCreate(Request):
    """A key to be made."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "nightly runs", "scopes": ["read", "write"], "expires_in": 7776000}]}
    )

    name: Title = Field(description="What it is for.")
    scopes: Scopes = Field(
        description="What it allows: to read, to change things, to see to keys; none implies another."
    )
    expires_in: StrictFloat | None = Field(
        default=None, gt=0, le=LONGEST_LIFE, description="Seconds until it ends; empty: never."
    )


class KeyRotate(Request):
    """How a key gives way to its successor."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grace_seconds": 3600}]})

    grace_seconds: StrictFloat = Field(
        default=0.0, ge=0, le=LONGEST_GRACE, description="How long the old key goes on, unless it expires before that."
    )


class KeyRead(Reply):
    """A key; of its secret, the first characters."""

    id: UUID
    name: str
    hint: str = Field(description="How its secret begins.", examples=["ot3l_4fQz"])
    scopes: list[Scope]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None = Field(description="To about a minute.")
    revoked_at: dt.datetime | None


class KeyIssued(KeyRead):
    """A new key with its secret, which is not shown again."""

    secret: str | None = Field(
        description="Empty where the answer is that of an earlier request: make another key, and revoke this one.",
        examples=["ot3l_4fQz..."],
    )


class KeyList(Reply):
    """Keys, newest first."""

    items: list[KeyRead]
    next: UUID | None = Field(description="The `cursor` of the next page; empty on the last one.")
