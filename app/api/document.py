"""The API's document, finished: what lies around the routes, and what FastAPI cannot know of them."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from app.api.envelope import API_VERSION
from app.api.gate import OPEN_PATHS, document_gate
from app.api.problems import problems
from app.schemas.events import EventRead, LineRead
from app.schemas.problems import ProblemRead
from app.schemas.uploads import UploadCreate
from app.schemas.work import Reply, Request

TAGS: Final = {
    "jobs": "Targeted transfer: choose samples, fine-tune on them, evaluate, keep the network.",
    "distances": "How far data sets lie from each other, with certificates.",
    "selections": "Which samples of a pool are worth a label; the pool needs none.",
    "datasets": "Data that the service knows: registered by path, by upload, or built in.",
    "uploads": "Getting data in: in parts that can be sent again, or as a form.",
    "webhooks": "Being told when work ends, signed, in place of asking.",
    "backbones": "The networks that work can start from.",
    "keys": "Who may do what: the keys of an owner.",
    "health": "For whoever restarts, routes and watches.",
}
_BESIDE_THE_ROUTES: Final[tuple[type[Reply | Request], ...]] = (ProblemRead, EventRead, LineRead, UploadCreate)
"""Bodies that routes name by reference: FastAPI does not see them."""
_UNUSED: Final = ("HTTPValidationError", "ValidationError")
_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete"})
_HEADERS: Final = {
    "X-Request-ID": "Of the request, or a new one; it is in the log and on the work.",
    "OT3L-Version": "The version of the API that answers.",
    "RateLimit-Policy": "How much a key may ask, where that is limited.",
    "RateLimit": "How much of it is left.",
}
_OF_A_KEY: Final = frozenset({"RateLimit-Policy", "RateLimit"})
_VERSION: Final = {
    "name": "OT3L-Version",
    "in": "header",
    "required": False,
    "description": "The version of the API that the client was written for. Default: the present one.",
    "schema": {"type": "string", "enum": [API_VERSION]},
}


def operation_id(route: APIRoute) -> str:
    """The name of a route: what generators of clients call their functions."""
    return route.name


def finish_document(document: dict[str, Any]) -> None:
    """Write into the API's document what the layers around the routes take and answer."""
    components = document.setdefault("components", {})
    _, defined = models_json_schema(
        [(body, "serialization") for body in _BESIDE_THE_ROUTES], ref_template="#/components/schemas/{model}"
    )
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **defined["$defs"]}.items()))
    for name in _UNUSED:
        components["schemas"].pop(name, None)
    components["parameters"] = {"Version": _VERSION}
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()
    }
    document_gate(document)
    for path, method, operation in _operations(document):
        _finish_operation(path, method, operation)
    _link(document)
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method in _METHODS & operations.keys():
            yield path, method, operations[method]


def _finish_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
    for parameter in operation.setdefault("parameters", []):
        _require_a_value(parameter["schema"])
    operation["parameters"].append({"$ref": "#/components/parameters/Version"})
    if "422" in operation["responses"]:
        operation["responses"]["422"] = _problem(422)
    read = () if method == "get" else (408, 413)
    understood = (415,) if "application/json" in operation.get("requestBody", {}).get("content", {}) else ()
    guarded = () if path in OPEN_PATHS else (503,)
    for status in (400, *read, *understood, 500, *guarded):
        operation["responses"].setdefault(str(status), _problem(status))
    operation["responses"] = dict(sorted(operation["responses"].items()))
    names = [name for name in _HEADERS if path not in OPEN_PATHS or name not in _OF_A_KEY]
    for response in operation["responses"].values():
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        response["headers"] = {**response.get("headers", {}), **references}


def _require_a_value(schema: dict[str, Any]) -> None:
    """Of a parameter: it may be left out, but what is sent is never null, only the text `null`."""
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1:
        del schema["anyOf"]
        schema |= branches[0]


def _problem(status: int) -> dict[str, Any]:
    return problems(status)[status]


def _link(document: dict[str, Any]) -> None:
    """Say what can be done with a thing that was made: everything whose address takes its id and nothing else."""
    for path, operations in document["paths"].items():
        made = [operations.get("post", {}).get("responses", {}).get(status) for status in ("201", "202")]
        links = _links(document, path)
        for response in filter(None, made if links else ()):
            response["links"] = links


def _links(document: dict[str, Any], collection: str) -> dict[str, Any]:
    links = {}
    for path, _, operation in _operations(document):
        prefix, _, rest = path.removeprefix(collection).partition("/{")
        parameter = rest.partition("}")[0]
        if path.startswith(collection) and not prefix and path.count("{") == collection.count("{") + 1 and parameter:
            links[operation["operationId"]] = {
                "operationId": operation["operationId"],
                "parameters": {parameter: "$response.body#/id"},
            }
    return dict(sorted(links.items()))
