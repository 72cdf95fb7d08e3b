"""A second owner sees nothing of the first, and cannot tell it from what was never there.

Every address of the application is tried, also those that were added after this was written. A route that fails here:

- has a parameter in its path that ``hers`` has no value for: make such a thing there, as anna, over HTTP;
- or takes a body that has no example in the API's document: give its schema one (``examples``), or name it in BODIES;
- or does not ask for the owner: look for the thing by ``context.owner`` too, and raise NotFoundError if there is none.
"""

import re
from uuid import UUID, uuid4

import pytest

from app.main import create_app
from app.settings import Settings
from app.store.blobs import open_blobs
from app.store.records import (
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceRecord,
    JobArtifactRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
)
from tests.app.conftest import SUMMARY
from tests.app.routes import guarded_routes

FILE = "checkpoint.safetensors"
BODIES = {("PUT", "/uploads/{upload_id}/parts/{number}"): b"hers"}
"""Bodies that are no JSON."""
SHARED = {"name", "number"}
"""Parameters that name a part of a thing; those of two owners may have the same."""
UNLISTED = {"delivery_id", "upload_id"}
"""Deliveries are listed by webhook, uploads nowhere."""
ROUTES = guarded_routes()
OF_A_THING = [(method, path) for method, path in ROUTES if "{" in path]
DOCUMENT = create_app(Settings()).openapi()


@pytest.fixture
def anna(make_key):
    return make_key("anna")


@pytest.fixture
def ben(make_key):
    return make_key("ben")


@pytest.fixture
def ready(keyed_client, finish):
    """A dataset that has been inspected, of whom these headers are."""

    def add(headers, name):
        reply = keyed_client.post(
            "/datasets", json={"format": "builtin", "dataset": "digits", "name": name}, headers=headers
        )
        assert reply.status_code == 202, reply.text
        finish(DatasetRecord, UUID(reply.json()["id"]), digest="0" * 64, result=SUMMARY)
        return reply.json()["id"]

    return add


@pytest.fixture
def hers(keyed_client, anna, ready, finish, service_database, keyed_settings, tmp_path):
    """One of everything, anna's: the value of every parameter that a path can have."""

    def post(path, body):
        reply = keyed_client.post(path, json=body, headers=anna)
        assert reply.is_success, (path, reply.text)
        return reply.json()["id"]

    made = {"name_or_id": ready(anna, "hers"), "name": FILE, "number": 1}
    made["job_id"] = post("/jobs", {"target": "hers", "strategy": "uniform"})
    made["selection_id"] = post("/selections", {"target": "hers"})
    made["distance_id"] = post("/distances", {"source": "hers", "target": "hers"})
    made["key_id"] = post("/keys", {"name": "hers", "scopes": ["read"]})
    if ("POST", "/webhooks") in ROUTES:
        made["webhook_id"] = post("/webhooks", {"url": "http://127.0.0.1:9/", "events": ["*"]})
        made["delivery_id"] = post(f"/webhooks/{made['webhook_id']}/test", {})
    if ("POST", "/uploads") in ROUTES:
        made["upload_id"] = post("/uploads", {"filename": "hers.zip", "size": 4})
    (tmp_path / FILE).write_bytes(b"weights")
    open_blobs(keyed_settings.resolved_blob_url).put_file("key", tmp_path / FILE)
    file = {"name": FILE, "key": "key", "size": 7, "sha256": "0" * 64, "media_type": "application/octet-stream"}
    with service_database.writing() as session:
        session.add(DatasetArtifactRecord(dataset_id=UUID(made["name_or_id"]), **file))
        session.add(JobArtifactRecord(job_id=UUID(made["job_id"]), **file))
        session.add(SelectionArtifactRecord(selection_id=UUID(made["selection_id"]), **file))
        session.add(DistanceArtifactRecord(distance_id=UUID(made["distance_id"]), **file))
        session.commit()
    for kind, parameter in ((JobRecord, "job_id"), (SelectionRecord, "selection_id"), (DistanceRecord, "distance_id")):
        finish(kind, UUID(made[parameter]))
    return made


@pytest.fixture
def keyed_settings(keyed_settings):
    # Webhooks in tests lead nowhere: to a port of this machine on which nobody listens.
    return keyed_settings.model_copy(update={"webhook_private_targets": True})


def filled(path, things):
    """The address of a thing."""

    def value_of(match):
        name = match[1].split(":")[0]
        assert name in things, f"{path}: make something for {{{name}}} in the fixture `hers`"
        return str(things[name])

    return re.sub(r"\{([a-z_:]+)\}", value_of, path)


def body_of(method, path):
    """What the route takes, as its document shows it."""
    if (method, path) in BODIES:
        return {"content": BODIES[method, path]}
    operation = DOCUMENT["paths"].get(path, {}).get(method.lower(), {})
    if "requestBody" not in operation:
        return {}
    schema = next(iter(operation["requestBody"]["content"].values()))["schema"]
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {"json": schema.get("examples", [{}])[0]}


def seen_in(reply, things):
    """What a reply says, but for the names of what it speaks of and the request's own id."""
    if not reply.content or not reply.headers.get("content-type", "").endswith("json"):
        return reply.text
    body = reply.json()
    body.pop("request_id", None)
    return hidden(str(sorted(body.items())), things)


def hidden(text, things):
    for name, value in things.items():
        text = text if name in SHARED else text.replace(str(value), "...")
    return text


def views(client, headers, things):
    """What the owner sees of each thing; of deliveries, which go on by themselves, whether there are any."""
    paths = [path for method, path in OF_A_THING if method == "GET"]
    replies = {path: client.get(filled(path, things), headers=headers) for path in paths}
    return {
        path: (reply.status_code, None if "/deliveries" in path else reply.content) for path, reply in replies.items()
    }


def test_what_is_anothers_is_not_there(keyed_client, anna, ben, hers):
    before = views(keyed_client, anna, hers)
    nothing = {name: value if name in SHARED else uuid4() for name, value in hers.items()}
    wrong = {}
    for method, path in OF_A_THING:
        sent = body_of(method, path)
        reply = keyed_client.request(method, filled(path, hers), headers=ben, **sent)
        never = keyed_client.request(method, filled(path, nothing), headers=ben, **sent)
        if (reply.status_code, seen_in(reply, hers)) != (404, seen_in(never, nothing)):
            wrong[method, path] = (reply.status_code, reply.text, never.status_code, never.text)
    assert wrong == {}
    assert views(keyed_client, anna, hers) == before
    # What she cannot see herself proves nothing.
    assert {path: status for path, (status, _) in before.items() if status >= 400} == {}


def test_nothing_lists_what_is_anothers(keyed_client, anna, ben, hers):
    values = {str(value) for name, value in hers.items() if name.endswith("_id")} | {"hers"}
    seen = set()
    for path in [path for method, path in ROUTES if method == "GET" and "{" not in path]:
        replies = {owner: keyed_client.get(path, headers=headers) for owner, headers in (("anna", anna), ("ben", ben))}
        assert {reply.status_code for reply in replies.values()} == {200}, path
        seen |= {value for value in values if value in replies["anna"].text}
        assert {value for value in values if value in replies["ben"].text} == set(), path
    assert values - seen == {str(hers[name]) for name in UNLISTED if name in hers}


@pytest.mark.parametrize("known_by", ["{name_or_id}", "{dataset}"])
def test_nothing_can_be_made_of_what_is_anothers(keyed_client, ben, hers, ready, known_by):
    ready(ben, "his")
    things = hers | {"dataset": "hers"}
    nothing = {name: uuid4() for name in things}

    def refusal(path, body, known):
        named = {name: fill(value, known) for name, value in body.items()}
        reply = keyed_client.post(path, json=named, headers=ben)
        assert reply.status_code == 422, reply.text
        return hidden(str(reply.json()["errors"]), known)

    for path, body, field in (
        ("/jobs", {"target": known_by}, "target"),
        ("/jobs", {"target": "his", "source": known_by, "strategy": "mixed"}, "source"),
        ("/jobs", {"target": "his", "selection": "{selection_id}"}, "selection"),
        ("/selections", {"target": known_by}, "target"),
        ("/selections", {"target": "his", "source": known_by}, "source"),
        ("/distances", {"source": known_by, "target": "his"}, "source"),
        ("/distances", {"source": "his", "target": known_by}, "target"),
        ("/distances", {"datasets": ["his", known_by]}, "datasets.1"),
        ("/datasets", {"format": "zip", "upload": "{upload_id}"}, "upload"),
    ):
        assert refusal(path, body, things) == refusal(path, body, nothing)
        assert f"'field': {field!r}" in refusal(path, body, things)


def fill(value, known):
    return [fill(entry, known) for entry in value] if isinstance(value, list) else filled(value, known)


def test_nothing_is_evaluated_on_what_is_anothers(keyed_client, ben, hers, ready, finish):
    ready(ben, "his")
    selection_id = keyed_client.post("/selections", json={"target": "his"}, headers=ben).json()["id"]
    finish(SelectionRecord, UUID(selection_id))
    for dataset in ("hers", hers["name_or_id"]):
        body = {"target": "his", "selection": selection_id, "test": dataset}
        reply = keyed_client.post("/jobs", json=body, headers=ben)
        assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, "test")


def test_names_and_idempotency_keys_are_each_owners_own(keyed_client, anna, ben):
    body = {"format": "builtin", "dataset": "digits", "name": "same"}
    replies = [
        keyed_client.post("/datasets", json=body, headers=owner | {"Idempotency-Key": "same"}) for owner in (anna, ben)
    ]
    assert [reply.status_code for reply in replies] == [202, 202]
    ids = [reply.json()["id"] for reply in replies]
    assert ids[0] != ids[1]
    for owner, dataset_id in zip((anna, ben), ids, strict=True):
        assert keyed_client.get("/datasets/same", headers=owner).json()["id"] == dataset_id


def test_what_another_has_measured_is_measured_again(keyed_client, anna, ben, ready, finish):
    made = []
    for owner in (anna, ben):
        ready(owner, "same")
        reply = keyed_client.post("/distances", json={"source": "same", "target": "same"}, headers=owner)
        assert reply.status_code == 202
        made.append(reply.json()["id"])
        finish(DistanceRecord, UUID(made[-1]))
    assert made[0] != made[1]
