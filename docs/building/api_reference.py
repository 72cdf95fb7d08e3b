"""The reference of the HTTP API, made from its OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import app.errors
from app.errors import ServiceError
from app.main import create_app
from app.settings import Settings

FOLDER = "reference/api"
BODIES = "bodies.md"
Schema = Mapping[str, Any]


def api_pages() -> Iterator[tuple[str, str]]:
    """The pages of the reference, each with its path: an overview, one a tag, and all bodies."""
    document = create_app(Settings()).openapi()
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    yield f"{FOLDER}/README.md", _overview(document, tags, operations)
    for tag, description in tags.items():
        its_own = [operation for operation in operations if tag in operation[2]["tags"]]
        sections = [_operation(document, *operation) for operation in its_own]
        yield f"{FOLDER}/{tag}.md", "\n\n".join([f"# {tag.capitalize()}", description, *sections]) + "\n"
    schemas = document["components"]["schemas"]
    sections = [_schema(name, schemas[name]) for name in sorted(schemas)]
    lead = (
        "Every JSON body that a request brings or an answer has. A star marks what must be given, or is always there."
    )
    yield f"{FOLDER}/{BODIES}", "\n\n".join(["# Bodies", lead, *sections]) + "\n"


def codes_by_status() -> dict[int, list[str]]:
    """The stable codes of errors that answers of each status have."""
    found: dict[int, list[str]] = {}
    for error in _family(ServiceError):
        if error.__module__ == app.errors.__name__:
            found.setdefault(error.status, []).append(error.type_)
    return dict(sorted(found.items()))


def _family(base: type[ServiceError]) -> list[type[ServiceError]]:
    return [base, *(error for child in base.__subclasses__() for error in _family(child))]


def _overview(document: Schema, tags: Mapping[str, str], operations: list[tuple[str, str, Schema]]) -> str:
    version = document["info"]["version"]
    parts = [
        "# HTTP API",
        f"Of version {version} of the program, made from the document that the running service has at `/openapi.json`.",
        "[The tour](../../api.md) says what belongs together; here is everything.",
    ]
    for tag, description in tags.items():
        rows = [
            (f"[`{method} {path}`]({tag}.md#{operation['operationId']})", _first(operation["description"]))
            for method, path, operation in operations
            if tag in operation["tags"]
        ]
        parts += [f"## {tag.capitalize()}", description, _table(("", ""), rows)]
    rows = [(str(status), ", ".join(f"`{code}`" for code in codes)) for status, codes in codes_by_status().items()]
    parts += [
        "## Errors",
        "The body of an error is a problem, with one of these codes as `type`: [what to do](../../errors.md).",
        _table(("status", "`type`"), rows),
    ]
    return "\n\n".join(parts) + "\n"


def _operation(document: Schema, method: str, path: str, operation: Schema) -> str:
    parts = [f"## `{method} {path}` {{#{operation['operationId']}}}", operation["description"].strip()]
    parameters = [_resolved(document, parameter) for parameter in operation.get("parameters", ())]
    rows = [
        (
            _named(parameter["name"], needed=parameter.get("required", False)),
            parameter["in"],
            _type(parameter["schema"]),
            _default(parameter["schema"]),
            parameter.get("description", ""),
        )
        for parameter in parameters
    ]
    if rows:
        parts += ["**Parameters**", _table(("name", "in", "type", "default", ""), rows)]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        parts.append(f"**Body**, `{media}`: {_type(schema)}")
        parts += [_fields(body) for body in _bodies(document, schema) if body.get("properties")]
    answers, errors = [], []
    for status, response in operation["responses"].items():
        if status >= "400":
            errors.append(status)
        else:
            answers.append((status, response["description"], _content(response)))
    parts += ["**Answers**", _table(("status", "", "body"), answers)]
    parts.append(f"**Errors**: {', '.join(errors)}; [their codes](README.md#errors)")
    return "\n\n".join(parts)


def _content(response: Schema) -> str:
    return "; ".join(
        _type(content["schema"]) if media == "application/json" and content.get("schema") else f"`{media}`"
        for media, content in response.get("content", {}).items()
    )


def _bodies(document: Schema, schema: Schema) -> list[Schema]:
    """The objects that a body may be, where they are few enough to be shown with the request."""
    resolved = _resolved(document, schema)
    branches = resolved.get("oneOf") or resolved.get("anyOf")
    return [] if branches else [resolved]


def _resolved(document: Schema, part: Schema) -> Schema:
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def _schema(name: str, schema: Schema) -> str:
    parts = [f"## {name} {{#{name}}}"]
    if schema.get("description"):
        parts.append(schema["description"].strip())
    parts.append(_fields(schema) if schema.get("properties") else _type(schema))
    return "\n\n".join(parts)


def _fields(schema: Schema) -> str:
    needed = set(schema.get("required", ()))
    rows = [
        (_named(name, needed=name in needed), _type(field), _default(field), field.get("description", ""))
        for name, field in schema["properties"].items()
    ]
    return _table(("field", "type", "default", ""), rows)


def _named(name: str, *, needed: bool) -> str:
    return f"`{name}`" + (r" \*" if needed else "")


def _type(schema: Schema) -> str:
    """What a value may be, in words, with links to the bodies."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}]({BODIES}#{name})"
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(branch) for branch in schema[several]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", (schema.get("const"),)))
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            said = f"list: {', '.join(_type(item) for item in schema['prefixItems'])}"
        case "array":
            said = f"list of {_type(schema.get('items', {}))}{_bounds(schema, 'minItems', 'maxItems', 'of them')}"
        case "object":
            values = schema.get("additionalProperties")
            said = f"object of {_type(values)}" if isinstance(values, Mapping) else "object"
        case "string":
            form = f" ({schema['format']})" if "format" in schema else ""
            said = f"string{form}{_bounds(schema, 'minLength', 'maxLength', 'characters')}"
        case kind:
            within, between = _bounds(schema, "minimum", "maximum"), ("exclusiveMinimum", "exclusiveMaximum")
            said = f"{kind or 'anything'}{within}{_bounds(schema, *between, 'exclusive')}"
    return said


def _bounds(schema: Schema, lower: str, upper: str, unit: str = "") -> str:
    match schema.get(lower), schema.get(upper):
        case None, None:
            return ""
        case least, None:
            said = f"{least:g} or more"
        case None, most:
            said = f"up to {most:,.15g}"
        case least, most:
            said = f"{least:g} to {most:,.15g}"
    return f", {said}{f' {unit}' if unit else ''}"


def _default(schema: Schema) -> str:
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`" if "default" in schema else ""


def _first(text: str) -> str:
    return text.strip().split("\n\n")[0].replace("\n", " ")


def _table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.strip().replace("\n", " ").replace("|", "\\|")
