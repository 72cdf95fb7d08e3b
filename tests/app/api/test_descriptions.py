"""Names, tags and metadata, which change nothing about the work."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from app.queue import TaskName
from app.schemas.jobs import JobPatch
from app.services.context import Context
from app.services.describing import change_description
from app.store.datasets import add_dataset
from app.store.jobs import Origin, add_job, get_work
from app.store.listing import find_shown
from app.store.records import JobRecord

SAID = {"name": "trial", "tags": ["a", "b", "a"], "metadata": {"ticket": "VIS-17", "über": ""}}
TOLD = {"name": "trial", "tags": ["a", "b"], "metadata": {"ticket": "VIS-17", "über": ""}}


def described(reply):
    assert reply.status_code in {200, 202}, reply.text
    return {name: reply.json()[name] for name in TOLD}


@pytest.fixture
def job(client, register, queue):
    register("target")
    queue.messages.clear()
    queue.priorities.clear()
    reply = client.post("/jobs", json={"target": "target", "strategy": "uniform", "priority": 8, **SAID})
    assert reply.status_code == 202, reply.text
    return reply


def test_a_job_is_told_with_its_description(client, queue, job, service_database):
    assert described(job) == TOLD
    assert job.json()["priority"] == 8
    assert job.json()["request_id"] == job.headers["X-Request-ID"]
    assert described(client.get(job.headers["Location"])) == TOLD
    (listed,) = client.get("/jobs").json()["items"]
    assert {name: listed[name] for name in TOLD} == TOLD
    assert queue.priorities == [8]
    with service_database.reading() as session:
        assert get_work(session, JobRecord, UUID(job.json()["id"])).priority == 8


def test_equal_work_is_stored_as_equal_requests_however_it_is_described(client, job):
    plain = client.post("/jobs", json={"target": "target", "strategy": "uniform"})
    assert plain.json()["request"] == job.json()["request"]
    assert described(plain) == {"name": None, "tags": [], "metadata": {}}
    assert plain.json()["priority"] == 5


def test_a_dataset_is_described_too(client, queue):
    body = {"format": "builtin", "dataset": "digits", "tags": ["x"], "metadata": {"licence": "CC0"}, "priority": 0}
    reply = client.post("/datasets", json=body)
    assert (reply.json()["tags"], reply.json()["metadata"]) == (["x"], {"licence": "CC0"})
    assert queue.messages == [(TaskName.INSPECT_DATASET, UUID(reply.json()["id"]))]
    assert queue.priorities == [0]
    for address in ("/datasets/digits", reply.headers["Location"]):
        patched = client.patch(address, json={"metadata": {"licence": None, "from": "a wheel"}})
        assert (patched.status_code, patched.json()["metadata"]) == (200, {"from": "a wheel"})
        client.patch(address, json={"metadata": {"licence": "CC0"}})
    assert client.patch("/datasets/digits", json={"name": "other"}).status_code == 422
    assert client.get("/datasets/digits").json()["tags"] == ["x"]


MERGES = [
    ({}, {}),
    ({"name": "other"}, {"name": "other"}),
    ({"name": None}, {"name": None}),
    ({"tags": ["c", "c"]}, {"tags": ["c"]}),
    ({"tags": None}, {"tags": []}),
    ({"metadata": {}}, {}),
    ({"metadata": {"ticket": None, "none": None}}, {"metadata": {"über": ""}}),
    ({"metadata": {"ticket": "2", "more": "3"}}, {"metadata": {"ticket": "2", "über": "", "more": "3"}}),
    ({"metadata": None}, {"metadata": {}}),
]


def test_a_patch_merges(client, job):
    address = job.headers["Location"]
    rest = {name: value for name, value in job.json().items() if name not in TOLD}
    for patch, change in MERGES:
        client.patch(address, json={"metadata": None})
        assert described(client.patch(address, json=TOLD)) == TOLD
        reply = client.patch(address, json=patch)
        assert described(reply) == TOLD | change, patch
        assert client.get(address).json() == reply.json()
        assert {name: value for name, value in reply.json().items() if name not in TOLD} == rest


REFUSED = [
    ({"name": ""}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"tags": [f"t{number}" for number in range(21)]}, "tags"),
    ({"tags": ["a", ""]}, "tags.1"),
    ({"tags": ["x" * 65]}, "tags.0"),
    ({"tags": ["a\x1b[31m"]}, "tags.0"),
    ({"tags": ["a\u2028b"]}, "tags.0"),
    ({"tags": "a"}, "tags"),
    ({"metadata": {str(number): "" for number in range(51)}}, "metadata"),
    ({"metadata": {"k": "x" * 1001}}, "metadata.k"),
    ({"metadata": {"k": "a\0b"}}, "metadata.k"),
    ({"metadata": {"k": {"nested": "1"}}}, "metadata.k"),
    ({"notes": {}}, "notes"),
    ({"priority": 10}, "priority"),
    ({"priority": -1}, "priority"),
]


def test_what_no_description_may_hold_is_refused(client, job):
    for body, field in REFUSED:
        reply = client.post("/jobs", json={"target": "target", "strategy": "uniform"} | body)
        assert reply.status_code == 422, body
        assert [error["field"] for error in reply.json()["errors"]] == [field]
        assert client.patch(job.headers["Location"], json=body).status_code == 422, body
    assert described(client.get(job.headers["Location"])) == TOLD


def test_merging_makes_no_more_pairs_than_there_may_be(client, job):
    more = {str(number): "" for number in range(49)}
    reply = client.patch(job.headers["Location"], json={"metadata": more})
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, "metadata")
    assert described(client.get(job.headers["Location"])) == TOLD
    assert client.patch(job.headers["Location"], json={"metadata": more | {"ticket": None}}).status_code == 200
    assert client.patch(f"/jobs/{UUID(int=0)}", json={"name": "x"}).status_code == 404


def test_two_merges_at_the_same_moment_are_both_there_afterwards(database, settings, queue):
    with database.writing() as session:
        target = add_dataset(session, Origin("local"), name="a", request={})
        request = {"strategy": "mixed", "alpha": 0.5}
        job = add_job(session, Origin("local"), target=target, source=None, request=request)
        session.commit()

    def merge(number):
        with database.writing() as session:
            context = Context(session, queue, None, settings, "local")
            change_description(context, JobRecord, job.id, JobPatch(metadata={str(number): "here"}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(merge, range(16)))
    with database.reading() as session:
        assert find_shown(session, JobRecord, "local", job.id)["notes"] == {str(n): "here" for n in range(16)}
