"""What holds for the service as a whole."""

import json
import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from app.main import create_app


def test_the_api_starts_without_torch():
    program = (
        "import sys; import app.main;"
        "heavy = {'torch', 'ot', 'numpy', 'torchvision', 'worker', 'ot3l_core.data', 'scipy'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_api_document_has_examples_and_problems(client):
    document = client.get("/openapi.json").json()
    job = document["components"]["schemas"]["JobCreate"]
    assert job["required"] == ["target"]
    assert job["examples"]
    assert all(
        "description" in described or "$ref" in json.dumps(described) or described.get("type") == "array"
        for described in job["properties"].values()
    )
    assert "application/problem+json" in json.dumps(document["paths"]["/jobs"]["post"]["responses"])


def test_an_error_nobody_foresaw_keeps_its_text_to_itself(settings, queue, monkeypatch):
    def explode(*_, **__):
        raise RuntimeError("secret")

    monkeypatch.setattr("app.api.backbones.CATALOGUE", property(explode))
    with TestClient(create_app(settings, queue=queue), raise_server_exceptions=False) as client:
        reply = client.get("/backbones")
    assert reply.status_code == 500
    assert reply.json()["type"] == "internal_error"
    assert "secret" not in reply.text


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
    with TestClient(create_app(down, queue=queue), raise_server_exceptions=False) as client:
        reply = client.get("/jobs")
        assert (reply.status_code, reply.json()["type"]) == (503, "unavailable")
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
