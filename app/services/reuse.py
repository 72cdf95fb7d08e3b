"""Telling work whose results are equal."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from app.schemas.mlflow import WITHOUT_EFFECT

METHOD_VERSION: Final = 1
"""Goes up whenever equal requests on equal images no longer give equal numbers: those of before are not reused then."""


def reuse_key_of(
    owner: str, kind: str, request: dict[str, Any], *, digests: Iterable[str], labels: dict[str, str] | None = None
) -> str | None:
    """Equal for work that would give equal results; None where nobody can tell.

    Args:
        owner: Whose work it is; results are never shared between owners.
        kind: Of the work.
        request: Every setting, defaults filled in, without how it was submitted.
        digests: Of the images and labels of all datasets that it names, in the order of their roles.
        labels: Those that came with the request, and are not in it.
    """
    if request.get("weights") is not None:
        # A file of the user's own may be another one tomorrow.
        return None
    effective = {name: value for name, value in request.items() if name not in WITHOUT_EFFECT}
    told = [METHOD_VERSION, owner, kind, effective, list(digests), labels]
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
