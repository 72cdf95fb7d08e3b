"""Webhooks over HTTP."""

import time
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from app.main import create_app
from app.services.webhooks import MAX_WEBHOOKS
from app.states import WorkState
from app.store.records import DatasetRecord, DeliveryRecord
from tests.receiver import receiving

URL = "https://192.0.2.1.example/hook"

REFUSED = (
    "https://127.0.0.1/",
    "https://localhost/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://169.254.169.254/latest/meta-data",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://127\u30020\u30020\u30021/",
    "http://example.com/",
    "ftp://example.com/",
    "https://user:password@example.com/",
    "https://example.com:22/",
    "https://",
    "example.com",
)


@pytest.fixture
def hook(client):
    reply = client.post("/webhooks", json={"url": URL})
    assert reply.status_code == 201, reply.text
    return reply.json()


@pytest.fixture
def open_client(settings, queue):
    """Of a service whose webhooks may point anywhere."""
    anywhere = settings.model_copy(update={"webhook_private_targets": True})
    with TestClient(create_app(anywhere, queue=queue), base_url="http://localhost") as made:
        yield made


def refused(reply):
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid_request"), reply.text
    [error] = reply.json()["errors"]
    return error["field"]


def test_the_secret_is_shown_once(client, hook):
    assert Webhook(hook["secret"])
    assert (hook["url"], hook["events"], hook["enabled"]) == (URL, ["*"], True)
    shown = client.get(f"/webhooks/{hook['id']}").json()
    assert shown == {name: value for name, value in hook.items() if name != "secret"}
    assert client.get("/webhooks").json() == {"items": [shown]}
    for path in ("/webhooks", f"/webhooks/{hook['id']}", f"/webhooks/{hook['id']}/deliveries"):
        assert hook["secret"] not in client.get(path).text


def test_a_new_secret_takes_the_place_of_the_old_one(client, hook):
    reply = client.post(f"/webhooks/{hook['id']}/rotate")
    assert (reply.status_code, reply.headers["Cache-Control"]) == (201, "no-store")
    assert reply.json() | {"secret": hook["secret"]} == hook
    assert Webhook(reply.json()["secret"])
    assert reply.json()["secret"] != hook["secret"]


def test_an_address_that_nothing_would_be_sent_to_is_refused(client):
    for url in REFUSED:
        assert refused(client.post("/webhooks", json={"url": url})) == "url", url
    assert client.get("/webhooks").json() == {"items": []}


def test_events_that_never_happen_are_refused(client, hook):
    for events in ([], ["job"], ["job.running"], ["model.succeeded"], ["**"], ["*"] * 21):
        assert refused(client.post("/webhooks", json={"url": URL, "events": events})).startswith("events"), events
        assert refused(client.patch(f"/webhooks/{hook['id']}", json={"events": events})).startswith("events"), events


def test_an_owner_may_have_so_many(client):
    for _ in range(MAX_WEBHOOKS):
        assert client.post("/webhooks", json={"url": URL}).status_code == 201
    reply = client.post("/webhooks", json={"url": URL})
    assert (reply.status_code, reply.json()["type"]) == (429, "quota_exceeded")
    client.delete(f"/webhooks/{client.get('/webhooks').json()['items'][0]['id']}")
    assert client.post("/webhooks", json={"url": URL}).status_code == 201


def test_an_equal_request_makes_it_once(client):
    key = {"Idempotency-Key": "first"}
    made, again = (client.post("/webhooks", json={"url": URL}, headers=key) for _ in range(2))
    assert again.json() == made.json() | {"secret": None}
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(client.get("/webhooks").json()["items"]) == 1
    path, key = f"/webhooks/{made.json()['id']}/test", {"Idempotency-Key": "second"}
    assert len({client.post(path, headers=key).json()["id"] for _ in range(2)}) == 1


def test_it_can_be_changed_and_deleted(client, hook):
    path = f"/webhooks/{hook['id']}"
    assert client.patch(path, json={"events": ["job.*"]}).json()["events"] == ["job.*"]
    changed = client.patch(path, json={"enabled": False}).json()
    assert (changed["enabled"], changed["events"]) == (False, ["job.*"])
    assert client.patch(path, json={}).json() == changed
    reply = client.post(f"{path}/test")
    assert (reply.status_code, reply.json()["type"]) == (409, "webhook_disabled")
    assert client.patch(path, json={"enabled": True}).json()["enabled"]
    assert client.post(f"{path}/test").status_code == 202
    assert [client.delete(path).status_code for _ in range(2)] == [204, 404]
    assert client.get(f"{path}/deliveries").status_code == 404


def test_deliveries_come_page_by_page(client, hook, service_database):
    path = f"/webhooks/{hook['id']}"
    with service_database.writing() as session:
        for number in range(5):
            session.add(
                DeliveryRecord(webhook_id=UUID(hook["id"]), event="ping", subject_id=uuid4(), payload={"n": number})
            )
        session.commit()
    seen, query = [], "?limit=2"
    while query:
        page = client.get(f"{path}/deliveries{query}").json()
        assert len(page["items"]) <= 2
        seen += [item["payload"]["n"] for item in page["items"]]
        query = page["next"] and f"?limit=2&cursor={page['next']}"
    assert seen == [4, 3, 2, 1, 0]
    delivery = client.get(f"{path}/deliveries?limit=1").json()["items"][0]
    assert client.get(f"{path}/deliveries/{delivery['id']}").json() == delivery
    assert (delivery["state"], delivery["attempts"]) == ("failed", 0)
    again = client.post(f"{path}/deliveries/{delivery['id']}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert client.post(f"{path}/deliveries/{uuid4()}/redeliver").status_code == 404


def test_what_ends_arrives(open_client, finish):
    """The whole way: the service itself sends it."""
    with receiving() as receiver:
        hook = open_client.post("/webhooks", json={"url": receiver.url, "events": ["dataset.*"]}).json()
        made = open_client.post("/datasets", json={"format": "builtin", "dataset": "digits", "name": "digits"}).json()
        error = {"code": "corrupt_image", "message": "0.png is no picture.", "field": None}
        finish(DatasetRecord, UUID(made["id"]), WorkState.FAILED, error=error)
        [delivery] = await_deliveries(open_client, hook)
        [(_, headers, body)] = receiver.requests
        told = Webhook(hook["secret"]).verify(body, headers)
        assert (told["type"], told["data"]["error"], headers["webhook-id"]) == ("dataset.failed", error, delivery["id"])
        assert open_client.get(told["data"]["url"]).json()["id"] == made["id"]


def await_deliveries(client, hook):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        items = client.get(f"/webhooks/{hook['id']}/deliveries").json()["items"]
        if items and all(item["state"] == "delivered" for item in items):
            return items
        time.sleep(0.05)
    pytest.fail(f"not delivered: {items}")
