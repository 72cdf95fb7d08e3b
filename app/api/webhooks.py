"""Webhooks: being told when work ends, in place of asking."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from starlette.concurrency import run_in_threadpool

from app.api.dependencies import LimitQuery, ReadingDep, WritingDep
from app.api.idempotency import REPLAYED_HEADER, AskedDep, mark_replayed
from app.api.problems import problems
from app.schemas.webhooks import (
    DeliveryList,
    DeliveryRead,
    WebhookCreate,
    WebhookIssued,
    WebhookList,
    WebhookRead,
    WebhookUpdate,
)
from app.services import webhooks
from app.services.idempotency import Done
from app.store.records import DeliveryRecord, WebhookRecord

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
_LOCATION = {"Location": {"description": "Of the webhook.", "schema": {"type": "string"}}}
_ISSUED: dict[int | str, dict[str, Any]] = {201: {"headers": _LOCATION | REPLAYED_HEADER}}
_SENT: dict[int | str, dict[str, Any]] = {202: {"headers": REPLAYED_HEADER}}
CursorQuery = Annotated[UUID | None, Query(description="`next` of the page before.")]


@router.post("", status_code=status.HTTP_201_CREATED, responses=_ISSUED | problems(422))
async def create_webhook(
    request: WebhookCreate, context: WritingDep, asked: AskedDep, response: Response
) -> WebhookIssued:
    """Have ends of work told to an address; the secret that verifies the signatures is shown this once."""
    await webhooks.check_target(str(request.url), private=context.settings.webhook_private_targets)
    return _show(await run_in_threadpool(webhooks.register_webhook, context, asked, request), response)


@router.get("", response_model=WebhookList)
def list_webhooks(context: ReadingDep) -> dict[str, list[WebhookRecord]]:
    """List webhooks, newest first."""
    return {"items": webhooks.read_webhooks(context)}


@router.get("/{webhook_id}", response_model=WebhookRead, responses=problems(404))
def get_webhook(webhook_id: UUID, context: ReadingDep) -> WebhookRecord:
    """Show a webhook, without its secret."""
    return webhooks.read_webhook(context, webhook_id)


@router.patch("/{webhook_id}", response_model=WebhookRead, responses=problems(404, 422))
def update_webhook(webhook_id: UUID, request: WebhookUpdate, context: WritingDep) -> WebhookRecord:
    """Change what a webhook is told of, or whether it is told anything."""
    return webhooks.update_webhook(context, webhook_id, request)


@router.delete("/{webhook_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
def delete_webhook(webhook_id: UUID, context: WritingDep) -> None:
    """Delete a webhook, with all its deliveries."""
    webhooks.delete_webhook(context, webhook_id)


@router.post(
    "/{webhook_id}/rotate",
    name="rotate_webhook_secret",
    status_code=status.HTTP_201_CREATED,
    responses=_ISSUED | problems(404, 422),
)
def rotate_secret(webhook_id: UUID, context: WritingDep, asked: AskedDep, response: Response) -> WebhookIssued:
    """Take a new secret, shown this once; for a day messages carry a signature by the old one as well."""
    return _show(webhooks.rotate_secret(context, asked, webhook_id), response)


@router.post(
    "/{webhook_id}/test",
    name="send_webhook_ping",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=DeliveryRead,
    responses=_SENT | problems(404, 409, 422),
)
def send_ping(webhook_id: UUID, context: WritingDep, asked: AskedDep, response: Response) -> DeliveryRecord:
    """Send a `ping`; what came of it is among the deliveries."""
    done = webhooks.send_ping(context, asked, webhook_id)
    return _mark(done, response) or webhooks.read_delivery(context, webhook_id, done.subject_id)


@router.get("/{webhook_id}/deliveries", response_model=DeliveryList, responses=problems(404))
def list_webhook_deliveries(
    webhook_id: UUID, context: ReadingDep, cursor: CursorQuery = None, limit: LimitQuery = 50
) -> webhooks.DeliveryPage:
    """List what was sent to a webhook or is about to be, newest first."""
    return webhooks.read_deliveries(context, webhook_id, cursor=cursor, limit=limit)


@router.get("/{webhook_id}/deliveries/{delivery_id}", response_model=DeliveryRead, responses=problems(404))
def get_webhook_delivery(webhook_id: UUID, delivery_id: UUID, context: ReadingDep) -> DeliveryRecord:
    """Show a message, and what came of it."""
    return webhooks.read_delivery(context, webhook_id, delivery_id)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=DeliveryRead,
    responses=_SENT | problems(404, 409, 422),
)
def redeliver_webhook_delivery(
    webhook_id: UUID, delivery_id: UUID, context: WritingDep, asked: AskedDep, response: Response
) -> DeliveryRecord:
    """Send a message again, with the same `webhook-id`, whatever came of it before."""
    done = webhooks.send_again(context, asked, webhook_id, delivery_id)
    return _mark(done, response) or webhooks.read_delivery(context, webhook_id, delivery_id)


def _show(issued: webhooks.Issued, response: Response) -> WebhookIssued:
    response.headers["Location"] = f"/webhooks/{issued.record.id}"
    response.headers["Cache-Control"] = "no-store"
    if issued.secret is None:
        mark_replayed(response)
    return WebhookIssued(**WebhookRead.model_validate(issued.record).model_dump(), secret=issued.secret)


def _mark(done: Done[DeliveryRecord], response: Response) -> DeliveryRecord | None:
    if done.fresh is None:
        mark_replayed(response)
    return done.fresh
