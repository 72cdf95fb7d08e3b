"""What is asked for twice is done once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import IdempotencyKeyReusedError, InvalidRequestError
from app.schemas.jobs import JobCreate
from app.services.context import Context
from app.services.idempotency import Asked, fingerprint_of, once
from app.services.jobs import plan_job
from app.services.submission import Answer, submit
from app.states import WorkState
from app.store.clock import now_plus
from app.store.datasets import add_dataset
from app.store.idempotency import KEPT_SECONDS, forget_requests
from app.store.jobs import Origin
from app.store.records import DatasetRecord, IdempotencyRecord, JobRecord

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
BODY = {"target": "target", "strategy": "uniform"}
SUMMARY = {"classes": [{"name": name, "pool": 40, "test": 10} for name in ("cat", "dog")], "n_pool": 80, "n_test": 20}


@pytest.fixture
def replayed(client):
    """Post something that was posted before."""

    def post(path, **said):
        reply = client.post(path, headers=KEY, **said)
        assert reply.headers["Idempotency-Replayed"] == "true", reply.text
        return reply

    return post


def n_keys(database):
    with database.reading() as session:
        return session.query(IdempotencyRecord).count()


def test_every_post_takes_a_key(client):
    paths = client.get("/openapi.json").json()["paths"]
    posts = {path: operations["post"] for path, operations in paths.items() if "post" in operations}
    without = [
        path
        for path, post in posts.items()
        if "Idempotency-Key" not in {parameter.get("name") for parameter in post.get("parameters", ())}
    ]
    assert posts
    assert without == []


def test_the_same_request_makes_one_job_and_is_answered_with_it(client, register, queue, finish, replayed):
    register("target")
    queue.messages.clear()
    first = client.post("/jobs", json=BODY, headers=KEY)
    assert first.status_code == 202
    assert "Idempotency-Replayed" not in first.headers
    again = replayed("/jobs", json=BODY)
    assert (again.status_code, again.headers["Location"]) == (202, first.headers["Location"])
    assert again.json() == first.json()
    finish(JobRecord, UUID(first.json()["id"]), WorkState.CANCELLED)
    assert replayed("/jobs", json=BODY).json()["state"] == "cancelled"
    assert len(client.get("/jobs").json()["items"]) == len(queue.messages) == 1


def test_a_replay_is_not_checked_again(client, replayed):
    body = {"format": "builtin", "dataset": "digits", "name": "mine"}
    first = client.post("/datasets", json=body, headers=KEY)
    assert replayed("/datasets", json=body).json()["id"] == first.json()["id"]
    assert client.post("/datasets", json=body).json()["type"] == "name_taken"


def test_the_key_of_another_request_is_refused(client, register, queue):
    register("target")
    assert client.post("/jobs", json=BODY, headers=KEY).status_code == 202
    queue.messages.clear()
    others = [("/jobs", BODY | {"budget": 7}), ("/jobs?x=1", BODY), ("/selections", BODY)]
    for path, body in others:
        reply = client.post(path, json=body, headers=KEY)
        assert (reply.status_code, reply.json()["type"]) == (422, "idempotency_key_reused")
    assert queue.messages == []


def test_a_request_that_was_refused_may_be_put_right_under_its_key(client, register, service_database):
    for body in (BODY | {"budget": 0}, BODY, {"target": "late", "strategy": "uniform"}):
        if body["target"] == "late":
            client.post("/datasets", json={"format": "builtin", "dataset": "digits", "name": "late"})
        assert client.post("/jobs", json=body, headers=KEY).status_code in {409, 422}
        assert n_keys(service_database) == 0
    register("target")
    assert client.post("/jobs", json=BODY, headers=KEY).status_code == 202
    assert n_keys(service_database) == 1


def test_without_a_key_everything_is_done_again(client, register, service_database):
    register("target")
    made = {client.post("/jobs", json=BODY).json()["id"] for _ in range(2)}
    assert len(made) == 2
    assert n_keys(service_database) == 0


def test_what_is_no_key_is_refused(client):
    for key in ("", " ", "a b", "a\tb", "x" * 256, "ü"):
        reply = client.post("/jobs", json=BODY, headers={"Idempotency-Key": key.encode()})
        assert reply.status_code == 422
        assert "Idempotency-Key" in reply.json()["detail"]


@pytest.fixture
def context_of(database, settings, queue):
    """A context over either database, with a dataset that is ready."""
    with database.writing() as session:
        for owner in ("one", "two"):
            record = add_dataset(session, Origin(owner), name="target", request={"format": "zip"})
            record.state, record.result, record.digest = WorkState.SUCCEEDED, SUMMARY, "0" * 64
        session.commit()
    return lambda session, owner="one": Context(session, queue, None, settings, owner)


def post(context, asked, **body):
    request = JobCreate(**BODY | body)
    return submit(context, request, asked, lambda: plan_job(context, request), JobRecord)


def test_equal_requests_at_the_same_moment_make_one_job(database, context_of, queue):
    n_threads = 6
    together = Barrier(n_threads)

    def ask(key):
        with database.writing() as session:
            together.wait()
            return post(context_of(session), Asked(key, "equal"))

    with ThreadPoolExecutor(n_threads) as pool:
        for number in range(5):
            answers = list(pool.map(ask, [str(number)] * n_threads))
            assert len({answer.id for answer in answers}) == 1
            assert [answer.answer for answer in answers].count(Answer.MADE) == 1
            assert {answer.answer for answer in answers} == {Answer.MADE, Answer.REPLAYED}
    assert len(queue.messages) == 5
    with database.reading() as session:
        assert session.query(JobRecord).count() == session.query(IdempotencyRecord).count() == 5


def test_a_key_belongs_to_its_owner(database, context_of):
    asked = Asked("key", "equal")
    made = []
    for owner in ("one", "two", "one"):
        with database.writing() as session:
            made.append(post(context_of(session, owner), asked).id)
    assert made[0] == made[2] != made[1]


def test_what_fails_leaves_no_key_and_another_request_none_either(database, context_of):
    asked = Asked("key", "equal")
    with database.writing() as session, pytest.raises(InvalidRequestError):
        post(context_of(session), asked, target="nothing")
    assert n_keys(database) == 0
    with database.writing() as session:
        post(context_of(session), asked)
    with database.writing() as session, pytest.raises(IdempotencyKeyReusedError):
        post(context_of(session), replace(asked, fingerprint="other"))
    assert n_keys(database) == 1


def test_what_a_request_is_about_is_told_with_its_key(database, context_of):
    asked = Asked("key", "equal")
    with database.writing() as session:
        (target,) = session.query(DatasetRecord).filter_by(owner="one")
        assert once(context_of(session), asked, lambda: target, about=target.id).fresh is target
        session.commit()
    with database.writing() as session:
        done = once(context_of(session), asked, lambda: pytest.fail("done twice"))
        assert (done.subject_id, done.fresh) == (target.id, None)


def test_keys_are_forgotten_after_a_day(database, context_of):
    for key in ("old", "new"):
        with database.writing() as session:
            post(context_of(session), Asked(key, "equal"))
    with database.writing() as session:
        old = session.query(IdempotencyRecord).filter_by(key="old")
        old.update({"created_at": now_plus(-KEPT_SECONDS - 60)})
        assert forget_requests(session) == 1
        session.commit()
    with database.writing() as session:
        assert post(context_of(session), Asked("old", "other")).answer is Answer.MADE
    with database.writing() as session:
        assert post(context_of(session), Asked("new", "equal")).answer is Answer.REPLAYED


requests = st.tuples(
    st.sampled_from(["POST", "PUT"]), st.sampled_from(["/jobs?", "/jobs?a", "/a"]), st.binary(max_size=5)
)


@given(one=requests, other=requests)
def test_fingerprints_are_equal_where_requests_are(one, other):
    assert (fingerprint_of(*one) == fingerprint_of(*other)) == (one == other)
