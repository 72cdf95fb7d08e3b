"""The API's document: complete, and fit to make clients from. Whether it is true: tests/e2e/test_schemathesis.py."""

import re
from pathlib import Path

import jsonschema
import pytest

from app.api.document import TAGS
from app.api.gate import OPEN_PATHS
from app.errors import ServiceError
from app.main import create_app
from app.settings import Settings
from tests.app.routes import guarded_routes

DOCUMENT = create_app(Settings()).openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
TOUR = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
OWN_METHODS = {"GET", "PUT", "POST", "PATCH", "DELETE"}


def found(document, name):
    """Everything in the document that is at a key of this name."""
    if isinstance(document, list):
        return [value for part in document for value in found(part, name)]
    if not isinstance(document, dict):
        return []
    return [
        *(value for key, value in document.items() if key == name),
        *(value for part in document.values() for value in found(part, name)),
    ]


def resolve(reference):
    part = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def examples_of(schema):
    """Those of a schema, or of all that it may be."""
    schema = resolve(schema["$ref"]) if "$ref" in schema else schema
    branches = schema.get("oneOf", schema.get("anyOf", ()))
    return schema.get("examples") or [example for branch in branches for example in examples_of(branch)]


def test_every_reference_leads_somewhere():
    references = {reference for reference in found(DOCUMENT, "$ref") if isinstance(reference, str)}
    assert len(references) > 20
    assert all(reference.startswith("#/components/") and resolve(reference) for reference in references)
    assert not {"HTTPValidationError", "ValidationError"} & SCHEMAS.keys()


def test_every_download_tells_what_conditions_may_come_to():
    downloads = [operation for _, _, operation in OPERATIONS if "206" in operation["responses"]]
    assert len(downloads) >= 4
    assert all(operation["responses"].keys() >= {"304", "412", "416"} for operation in downloads)


def test_every_route_is_in_the_document():
    shown = {(method, path) for method, path, _ in OPERATIONS}
    assert {route for route in guarded_routes() if route[0] in OWN_METHODS} <= shown
    # HEAD is that of the GET beside it.
    assert {(method, path) for method, path in guarded_routes() if method not in OWN_METHODS} <= {
        ("HEAD", path) for _, path in shown
    }


def test_operations_have_names_that_programs_can_use():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=[f"{m} {p}" for m, p, _ in OPERATIONS])
def test_every_operation_says_what_it_does_takes_and_answers(method, path, operation):
    assert operation["summary"]
    assert operation["description"].rstrip().endswith(".")
    assert set(operation["tags"]) <= TAGS.keys()
    responses = operation["responses"]
    assert any(status.startswith("2") for status in responses)
    assert all(response["description"] for response in responses.values())
    expected = {"400", "500"} | (set() if path in OPEN_PATHS else {"401", "403", "429", "503"})
    expected |= {"404"} if "{" in path else set()
    expected |= set() if method == "GET" else {"408", "413"}
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        expected |= {"415", "422"}
        examples = examples_of(content["application/json"]["schema"])
        assert examples
        for example in examples:
            jsonschema.validate(
                example, {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
            )
    if any(parameter.get("name") == "Idempotency-Key" for parameter in operation["parameters"]):
        expected |= {"422"}
    assert expected <= responses.keys()
    statuses = {str(error.status) for error in family(ServiceError)}
    for status, response in responses.items():
        if status >= "400":
            assert status in statuses
            assert list(response["content"]) == ["application/problem+json"]
        assert {"X-Request-ID", "OT3L-Version"} <= response["headers"].keys()


def family(base):
    return [base, *(error for child in base.__subclasses__() for error in family(child))]


def test_tags_are_described_and_used():
    assert [tag["name"] for tag in DOCUMENT["tags"]] == list(TAGS)
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == TAGS.keys()


def test_what_is_made_is_linked_to_what_can_be_done_with_it():
    links = DOCUMENT["paths"]["/jobs"]["post"]["responses"]["202"]["links"]
    assert {"get_job", "cancel_job", "retry_job", "delete_job", "follow_job", "get_job_checkpoint"} <= links.keys()
    names = {operation["operationId"] for _, _, operation in OPERATIONS}
    for made in found(DOCUMENT, "links"):
        assert made.keys() <= names


def test_the_tour_names_every_noun():
    nouns = {path.split("/")[1] for _, path, _ in OPERATIONS}
    assert nouns == {noun for noun in nouns if f"/{noun}" in TOUR.split("## With curl")[0]}


def test_an_address_says_what_it_takes(client):
    for path, allowed in (("/jobs", "GET, POST"), ("/webhooks", "GET, POST"), ("/backbones", "GET")):
        reply = client.request("BREW", path)
        assert (reply.status_code, reply.json()["type"], reply.headers["Allow"]) == (405, "method_not_allowed", allowed)
    job = set(client.request("PUT", "/jobs/x").headers["Allow"].split(", "))
    assert job == {"GET", "PATCH", "DELETE"}


def test_a_number_is_a_number(client):
    for body in (
        {"target": "x", "priority": "5"},
        {"target": "x", "validate_only": 1},
        {"target": "x", "budget": True},
    ):
        reply = client.post("/jobs", json=body)
        assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, list(body)[1])
