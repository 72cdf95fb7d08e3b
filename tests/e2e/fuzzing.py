"""What schemathesis cannot know of the service; schemathesis.toml loads it."""

import os
import uuid

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

KEY = "Idempotency-Key"
KNOWN = {"source": "digits", "target": "digits", "test": "digits", "datasets": ["digits", "mnist-5k"]}
"""Data sets that there are."""
NOBODY = "http://127.0.0.1:9/"


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Make of a generated request one that a client could send."""
    name = case.operation.definition.raw["operationId"]
    if KEY in (case.headers or {}) and not made_wrong(case, ParameterLocation.HEADER):
        # A key names one request, and only one.
        case.headers[KEY] = str(uuid.uuid4())
    if isinstance(case.body, dict) and not made_wrong(case, ParameterLocation.BODY):
        if name == "create_webhook":
            # Strangers are not to hear of tests.
            case.body = case.body | {"url": NOBODY}
        if name in {"create_job", "create_distance", "create_selection"}:
            # Of a data set that nobody registered there is nothing to see.
            case.body = case.body | {field: KNOWN[field] for field in KNOWN.keys() & case.body.keys()}
    if name.startswith("follow_"):
        # A stream lasts as long as the work does.
        address = f"{case.operation.base_url.rstrip('/')}{case.formatted_path}".removesuffix("/events")
        key = {"Authorization": f"Bearer {os.environ['OT3L_FUZZ_KEY']}"}
        requests.post(f"{address}/cancel", headers=key, timeout=30)


def made_wrong(case, place):
    return case.meta is not None and case.meta.is_negative_at(place)
