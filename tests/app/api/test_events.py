"""What a client sees of work while it is done, and how it steers it."""

import json
import threading
from uuid import UUID, uuid4

import pytest

from app.services import events
from app.states import EventKind, WorkState
from app.store import work
from app.store.events import News
from app.store.records import DistanceRecord, JobArtifactRecord, JobRecord, SelectionRecord

EPOCH = {"phase": "training", "seed": 0, "alpha": None, "train_loss": 0.5, "validation_loss": None}
NEWS = [
    News(EventKind.PHASE, {"phase": "reading", "timings": {"reading": 0.0}}),
    News(EventKind.LOG, {"level": "WARNING", "logger": "ot3l_core", "message": "3 images\u2028are \x85 grey"}),
    News(EventKind.PHASE, {"phase": "training", "timings": {"reading": 1.5, "training": 0.0}}),
    News(EventKind.EPOCH, EPOCH | {"epoch": 1, "validation_accuracy": 0.25}),
    News(EventKind.EPOCH, EPOCH | {"epoch": 2, "validation_accuracy": 0.5}),
    News(EventKind.EPOCH, EPOCH | {"epoch": 1, "seed": 1, "validation_accuracy": None}),
    News(EventKind.LOG, {"level": "INFO", "logger": "worker", "message": "saved"}),
]


@pytest.fixture
def job(client, register):
    register("target")
    return client.post("/jobs", json={"target": "target", "strategy": "uniform"}).headers["Location"]


@pytest.fixture
def begin(service_database):
    """Do what a worker would: claim a job and tell the news."""

    def claim(location, news=NEWS):
        with service_database.writing() as session:
            held = work.claim(session, JobRecord, id_of(location), lease_seconds=60)
            assert work.renew(session, held, lease_seconds=60, phase="training", progress=0.5, news=news) is not None
            session.commit()
        return held

    return claim


@pytest.fixture
def end(service_database):
    def finish(held, state=WorkState.SUCCEEDED, artifacts=(), **values):
        with service_database.writing() as session:
            assert work.finish(session, held, state, **values)
            session.add_all(artifacts)
            session.commit()

    return finish


def id_of(location):
    return UUID(location.rpartition("/")[2])


def parse(text):
    """Server-sent events as a browser reads them; comments are not shown."""
    blocks = [
        [line.partition(": ")[::2] for line in block.split("\r\n") if line and not line.startswith(":")]
        for block in text.split("\r\n\r\n")
    ]
    return [dict(block) for block in blocks if block]


def follow(client, location, **how):
    reply = client.get(location + "/events", **how)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/event-stream")
    first, *told = parse(reply.text)
    assert first == {"retry": "2000"}
    assert all(json.loads(event["data"])["number"] == int(event["id"]) for event in told)
    assert all(json.loads(event["data"])["kind"] == event["event"] for event in told)
    return [json.loads(event["data"]) for event in told]


def test_a_stream_tells_everything_in_order_and_ends_with_the_work(client, job, begin, end):
    end(begin(job), WorkState.FAILED, error={"code": "x", "message": "y", "field": None})
    told = follow(client, job)
    assert [event["number"] for event in told] == list(range(1, len(NEWS) + 4))
    assert [(event["kind"], event["body"]) for event in told] == [
        ("state", {"state": "queued"}),
        ("state", {"state": "running"}),
        *((news.kind, news.body) for news in NEWS),
        ("state", {"state": "failed", "error": {"code": "x", "message": "y", "field": None}}),
    ]
    assert [event["attempt"] for event in told] == [0] + [1] * (len(told) - 1)


def test_a_stream_goes_on_while_the_work_does(client, job, begin, end, monkeypatch):
    monkeypatch.setattr(events, "TICK_SECONDS", 0.02)
    seen = threading.Event()
    read_positions = events.read_positions
    monkeypatch.setattr(events, "read_positions", lambda *given: seen.set() or read_positions(*given))

    def do_it():
        assert seen.wait(30)
        end(begin(job))

    worker = threading.Thread(target=do_it)
    worker.start()
    told = follow(client, job)
    worker.join()
    assert [event["number"] for event in told] == list(range(1, len(NEWS) + 4))


@pytest.mark.parametrize("how", [{"params": {"after": 4}}, {"headers": {"Last-Event-ID": "4"}}])
def test_a_stream_is_taken_up_where_it_broke_off(client, job, begin, end, how):
    end(begin(job))
    assert follow(client, job, **how) == follow(client, job)[4:]


def test_who_has_had_everything_is_told_not_to_come_back(client, job, begin, end):
    end(begin(job))
    last = follow(client, job)[-1]["number"]
    reply = client.get(job + "/events", headers={"Last-Event-ID": str(last)})
    assert (reply.status_code, reply.content) == (204, b"")


@pytest.mark.parametrize("wrong", ["-1", "x", str(2**40)])
def test_a_number_that_cannot_be_one_is_refused(client, job, wrong):
    assert client.get(job + "/events", headers={"Last-Event-ID": wrong}).status_code == 422


@pytest.mark.parametrize("of", ["events", "metrics", "logs", "artifacts"])
def test_of_work_that_is_not_there_nothing_is_told(client, of):
    assert client.get(f"/jobs/{uuid4()}/{of}").status_code == 404


def test_all_kinds_of_work_can_be_followed(client, register, finish):
    register("target")
    for kind, noun, body in (
        (DistanceRecord, "distances", {"source": "target", "target": "target"}),
        (SelectionRecord, "selections", {"target": "target"}),
    ):
        location = client.post(f"/{noun}", json=body).headers["Location"]
        finish(kind, id_of(location), WorkState.CANCELLED)
        assert follow(client, location)[-1]["body"] == {"state": "cancelled"}
        assert client.get(location + "/logs").text == ""
        assert client.get(location + "/artifacts").json() == {"items": []}
    assert follow(client, "/datasets/target")[-1]["body"] == {"state": "succeeded"}
    assert client.get("/datasets/target/artifacts").json() == {"items": []}


def test_metrics_are_the_curves_of_the_latest_attempt(client, job, begin, end, service_database):
    assert client.get(job + "/metrics").json() == {"attempt": 0, "timings": {}, "curves": []}
    first = begin(job, [News(EventKind.EPOCH, EPOCH | {"epoch": 9, "validation_accuracy": 0.0})])
    with service_database.writing() as session:
        work.hand_over(session, first, forgive=True)
        session.commit()
    # An epoch that is told again after a loss counts once.
    held = begin(job, [*NEWS, NEWS[4]])
    shown = client.get(job + "/metrics").json()
    assert (shown["attempt"], shown["timings"]) == (2, {"reading": 1.5, "training": 0.0})
    assert [(curve["seed"], curve["epoch"], curve["validation_accuracy"]) for curve in shown["curves"]] == [
        (0, [1, 2], [0.25, 0.5]),
        (1, [1], [None]),
    ]
    end(held, timings={"reading": 1.5, "training": 2.5})
    assert client.get(job + "/metrics").json() == shown | {"timings": {"reading": 1.5, "training": 2.5}}


def test_logs_are_text_or_json_and_are_read_on_from_a_line(client, job, begin):
    begin(job)
    asked_for = {"Accept": "application/x-ndjson"}
    lines = [json.loads(line) for line in client.get(job + "/logs", headers=asked_for).text.split("\n") if line]
    assert [line["message"] for line in lines] == [NEWS[1].body["message"], "saved"]
    text = client.get(job + "/logs")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.endswith("INFO worker: saved\n")
    rest = client.get(job + "/logs", params={"since": lines[0]["number"]}, headers=asked_for)
    assert [json.loads(line) for line in rest.text.splitlines()] == lines[1:]
    one = client.get(job + "/logs", params={"limit": 1}, headers=asked_for)
    assert json.loads(one.text) == lines[0]


def test_artifacts_are_listed_with_their_addresses(client, job, begin, end):
    held = begin(job)
    file = {"name": "a.csv", "key": "k", "size": 7, "sha256": "2" * 64, "media_type": "text/csv"}
    end(held, artifacts=[JobArtifactRecord(job_id=held.id, **file)])
    [listed] = client.get(job + "/artifacts").json()["items"]
    assert listed == {name: file[name] for name in ("name", "size", "sha256", "media_type")} | {
        "url": f"{job}/artifacts/a.csv"
    }


@pytest.mark.parametrize("noun", ["jobs", "distances", "selections", "datasets"])
def test_work_of_every_kind_is_cancelled(client, register, noun):
    register("target")
    bodies = {
        "jobs": {"target": "target", "strategy": "uniform"},
        "distances": {"source": "target", "target": "target"},
        "selections": {"target": "target"},
        "datasets": {"format": "builtin", "dataset": "digits", "name": "other"},
    }
    location = client.post(f"/{noun}", json=bodies[noun]).headers["Location"]
    reply = client.post(location + "/cancel")
    assert (reply.status_code, reply.json()["state"]) == (202, "cancelled")
    again = client.post(location + "/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "not_cancellable")


def test_a_failed_job_is_done_again_under_its_id(client, job, begin, end, queue):
    assert client.post(job + "/retry").json()["type"] == "not_retryable"
    end(begin(job), WorkState.FAILED, error={"code": "x", "message": "y", "field": None}, timings={"reading": 1.0})
    queue.messages.clear()
    reply = client.post(job + "/retry")
    assert reply.status_code == 202
    shown = reply.json()
    assert (shown["state"], shown["attempt"], shown["error"], shown["timings"]) == ("queued", 1, None, None)
    assert [work_id for _, work_id in queue.messages] == [id_of(job)]
    held = begin(job)
    assert held.attempt == 2
    assert client.post(job + "/retry").status_code == 409


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_steering_with_a_key_is_done_once(client, job, begin, end, queue, verb):
    if verb == "retry":
        end(begin(job), WorkState.FAILED)
    queue.messages.clear()
    first, second = (client.post(f"{job}/{verb}", headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json() == first.json()
    assert len(queue.messages) == (1 if verb == "retry" else 0)


def test_messages_carry_the_priority_of_the_work(client, register, queue):
    register("target")
    for priority in (9, 0):
        assert client.post("/jobs", json={"target": "target", "strategy": "uniform", "priority": priority}).is_success
    assert queue.priorities[-2:] == [9, 0]
