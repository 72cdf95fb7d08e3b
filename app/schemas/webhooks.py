"""Webhooks on the wire."""

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

from pydantic import AliasChoices, ConfigDict, Field, HttpUrl, StrictBool

from app.schemas.work import Reply, Request
from app.states import DeliveryState

SECRET_EXAMPLE = "whsec_bm90IGEgc2VjcmV0LCBvbmx5IGFuIGV4YW1wbGU="  # noqa: S105 - what one looks like
MAX_EVENTS = 20

EventPattern = Annotated[
    str, Field(pattern=r"^(\*|(job|distance|selection|dataset)\.(\*|succeeded|failed|cancelled))$")
]
Events = Annotated[
    list[EventPattern],
    Field(
        min_length=1,
        max_length=MAX_EVENTS,
        description="What to be told of: `job.failed`, `job.*` for all ends of a job, `*` for all ends of everything.",
        examples=[["job.*", "dataset.failed"]],
    ),
]


class WebhookCreate(Request):
    """Whom to tell, and of what."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://example.com/hooks/ot3l", "events": ["job.*"]}]}
    )

    url: HttpUrl = Field(description="Where to POST to; https, and on the internet unless the operator allows more.")
    events: Events = Field(default=["*"])


class WebhookUpdate(Request):
    """What to change; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    events: Events | None = None
    enabled: StrictBool | None = Field(
        default=None, description="false: nothing more is sent, and what still waits is given up."
    )


class WebhookRead(Reply):
    """Somebody who is told when work ends."""

    id: UUID
    url: str
    events: list[str]
    enabled: bool = Field(description="false also after the receiver answered 410.")
    created_at: dt.datetime


class WebhookIssued(WebhookRead):
    """A webhook with its secret, which is shown this once."""

    secret: str | None = Field(
        description="Verifies signatures (Standard Webhooks); empty where an earlier request with this Idempotency-Key "
        "was given it.",
        examples=[SECRET_EXAMPLE],
    )


class WebhookList(Reply):
    """Webhooks, newest first."""

    items: list[WebhookRead]


class DeliveryRead(Reply):
    """One message to one webhook."""

    id: UUID = Field(description="The message's `webhook-id`, the same for every attempt.")
    event: str = Field(examples=["job.succeeded"])
    subject_id: UUID = Field(description="What it tells of.")
    state: DeliveryState
    attempts: int = Field(
        description="How often it was sent, or is being sent.", validation_alias=AliasChoices("n_attempts", "attempts")
    )
    next_attempt_at: dt.datetime | None = Field(description="Empty when nothing more is tried.")
    status_code: int | None = Field(description="Of the receiver's latest answer, if there was one.")
    error: str | None = Field(description="What was wrong with the latest attempt.")
    created_at: dt.datetime
    delivered_at: dt.datetime | None
    payload: dict[str, Any] = Field(description="What is sent.")


class DeliveryList(Reply):
    """Deliveries, newest first."""

    items: list[DeliveryRead]
    next: UUID | None = Field(description="Pass as `cursor` for the next page; empty on the last.")
