"""Every reply says which request it answers and which version it speaks."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.main import create_app
from app.observing.logs import configure_logs
from app.settings import LogFormat
from tests.fakes import RecordingQueue


@pytest.mark.parametrize("path", ["/health/live", "/jobs", "/jobs/none", "/nowhere"])
def test_a_request_keeps_the_id_that_its_client_gave_it(client, path):
    reply = client.get(path, headers={"X-Request-ID": "abc-1.2_3"})
    assert reply.headers["X-Request-ID"] == "abc-1.2_3"
    assert reply.headers["OT3L-Version"] == "1"
    if not reply.is_success:
        assert reply.json()["request_id"] == "abc-1.2_3"


def test_without_an_id_every_request_gets_its_own(client):
    given_out = {client.get("/health/live").headers["X-Request-ID"] for _ in range(5)}
    assert len(given_out) == 5


@pytest.mark.parametrize("claimed", ["", "a b", "x" * 65, "semi;colon", "é"])
def test_an_id_that_could_do_harm_in_a_log_is_not_taken(client, claimed):
    reply = client.get("/health/live", headers={"X-Request-ID": claimed.encode()})
    assert reply.headers["X-Request-ID"] != claimed
    assert reply.headers["X-Request-ID"].isalnum()


def test_work_remembers_the_request_that_asked_for_it(client, service_database):
    body = {"format": "builtin", "dataset": "digits"}
    reply = client.post("/datasets", json=body, headers={"X-Request-ID": "mine"})
    assert reply.status_code == 202
    with service_database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT request_id FROM datasets").scalar_one() == "mine"


def test_a_version_that_there_is_not_is_refused_by_name(client):
    reply = client.get("/jobs", headers={"OT3L-Version": "2"})
    assert (reply.status_code, reply.json()["type"]) == (400, "unsupported_version")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["X-Request-ID"] == reply.json()["request_id"]
    assert client.get("/jobs", headers={"OT3L-Version": "1"}).status_code == 200


def test_an_error_that_nobody_foresaw_is_named_too(settings, caplog):
    app = create_app(settings, queue=RecordingQueue())

    @app.get("/breaks")
    def break_down():
        raise RuntimeError("the secret")

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        reply = client.get("/breaks", headers={"X-Request-ID": "mine"})
    assert (reply.status_code, reply.headers["X-Request-ID"], reply.json()["request_id"]) == (500, "mine", "mine")
    assert "the secret" not in reply.text
    assert any("the secret" in str(record.exc_info) for record in caplog.records)


def test_a_request_is_one_line_that_names_the_route_and_not_the_path(client, caplog):
    with caplog.at_level(logging.INFO, logger="ot3l.requests"):
        client.get("/datasets/some-name?limit=3")
    (line,) = [record for record in caplog.records if record.name == "ot3l.requests"]
    assert (line.method, line.route, line.status) == ("GET", "/datasets/{name_or_id}", 404)
    assert "some-name" not in line.getMessage()


@given(text=st.text())
def test_no_text_ends_a_line_of_the_log(text):
    for form in LogFormat:
        line = rendered(form, text)
        assert len(line.splitlines()) == 1
        if form is LogFormat.JSON:
            told = json.loads(line)
            assert (told["message"], told["subject"]) == ("told", text)


def rendered(form, text):
    """What one line looks like, with the root logger as it was afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logs(form)
        logger = logging.getLogger("ot3l.test")
        record = logger.makeRecord("ot3l.test", logging.INFO, __file__, 1, "told", (), None, extra={"subject": text})
        return root.handlers[0].format(record)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
