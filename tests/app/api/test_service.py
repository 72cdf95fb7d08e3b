"""What holds for the service as a whole."""

import subprocess
import sys
from uuid import UUID

import jsonschema
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.schemas.problems import ProblemRead
from app.settings import Settings

LOCAL = "http://localhost"


def test_the_api_starts_without_torch():
    program = (
        "import sys; import app.main;"
        "heavy = {'torch', 'ot', 'numpy', 'torchvision', 'worker', 'ot3l_core.data', 'scipy'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_api_document_has_examples_for_every_request(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    parts = {"TrainingCreate", "FineTuneCreate"}
    requests = [schema for name, schema in schemas.items() if name.endswith("Create") and name not in parts]
    assert len(requests) >= 13
    assert all(schema["examples"] for schema in requests)
    assert schemas["JobCreate"]["required"] == ["target"]


def test_problems_are_what_the_document_says(client):
    document = client.get("/openapi.json").json()
    replies = {
        ("/jobs", "post", "422"): client.post("/jobs", json={"target": "x", "alpha": 2}),
        ("/jobs/{job_id}", "get", "404"): client.get(f"/jobs/{UUID(int=0)}"),
        ("/datasets/{name_or_id}", "get", "404"): client.get("/datasets/none"),
    }
    for (path, method, status), reply in replies.items():
        described = document["paths"][path][method]["responses"][status]["content"]
        assert list(described) == ["application/problem+json"]
        schema = described["application/problem+json"]["schema"]
        jsonschema.validate(reply.json(), schema | {"components": document["components"]})
        assert str(reply.status_code) == status
        assert ProblemRead.model_validate(reply.json()).type


class Exploding:
    def __iter__(self):
        raise RuntimeError("secret")


def test_an_error_nobody_foresaw_keeps_its_text_to_itself(settings, queue, monkeypatch, caplog):
    monkeypatch.setattr("app.api.backbones.CATALOGUE", Exploding())
    with TestClient(create_app(settings, queue=queue), base_url=LOCAL, raise_server_exceptions=False) as client:
        reply = client.get("/backbones")
    assert reply.status_code == 500
    assert reply.json()["type"] == "internal_error"
    assert "secret" not in reply.text
    assert "secret" in caplog.text


def test_backbones_are_listed_with_their_default(client):
    body = client.get("/backbones").json()
    names = [entry["name"] for entry in body["items"]]
    assert body["default"] in names
    assert "resnet18" in names


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(client, path):
    assert client.get(path).json() == {"status": "ok"}


def test_a_database_that_is_down_is_unavailable_and_not_a_mistake(settings, queue):
    down = settings.model_copy(update={"database_url": f"sqlite:///{settings.data_dir}/missing/ot3l.db"})
    with TestClient(create_app(down, queue=queue), base_url=LOCAL, raise_server_exceptions=False) as client:
        reply = client.get("/jobs")
        assert (reply.status_code, reply.json()["type"]) == (503, "unavailable")
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200


def test_a_database_that_was_never_migrated_is_not_ready(tmp_path, queue):
    empty = Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path / 'empty.db'}")
    with TestClient(create_app(empty, queue=queue), base_url=LOCAL) as client:
        assert client.get("/health/ready").status_code == 503


@pytest.mark.parametrize(
    "path", ["/datasets/a%00b", "/datasets/%ED%A0%80", "/datasets/..%2F..", "/jobs/x/artifacts/a%00b"]
)
def test_an_address_that_nothing_can_have_is_refused(client, path):
    assert client.get(path).status_code in {404, 422}


@pytest.mark.parametrize("text", ["a\0b", "", " ", "x" * 300])
def test_a_name_that_nothing_can_have_is_refused(client, text):
    for path, field in (("/jobs", "target"), ("/distances", "source")):
        reply = client.post(path, json={"source": "a", "target": "a", field: text})
        assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, field)


def test_broken_json_blames_the_body(client):
    reply = client.post("/jobs", content=b"{", headers={"content-type": "application/json"})
    assert [error["field"] for error in reply.json()["errors"]] == ["body"]
