"""Every error that the service answers with, as RFC 9457 problem details.

::

    ServiceError
    ├── UnsupportedVersionError  400  unsupported_version
    ├── NotFoundError            404  not_found
    ├── RangeError               416  range_not_satisfiable
    ├── ConflictError            409
    │   ├── NameTakenError            name_taken
    │   ├── NotReadyError             not_ready
    │   └── NotCancellableError       not_cancellable
    ├── InvalidRequestError      422  invalid_request
    └── UnavailableError         503  unavailable

The ``type`` of a problem is its stable code; ``errors`` lists the fields to change, where there are any.
"""

from collections.abc import Sequence
from typing import Self, TypedDict

from rfc9457 import StatusProblem


class FieldError(TypedDict):
    """One field that has to change."""

    field: str
    message: str


class ServiceError(StatusProblem):
    """Base of the service's errors: an HTTP status and a stable code."""

    type_ = "internal_error"
    title = "The service made a mistake."
    status = 500

    def __init__(
        self, detail: str, *, errors: Sequence[FieldError] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail, headers=headers, **({"errors": list(errors)} if errors else {}))

    @classmethod
    def of_field(cls, field: str, message: str) -> Self:
        """The error of a single field."""
        return cls(f"{field}: {message}", errors=[{"field": field, "message": message}])


class UnsupportedVersionError(ServiceError):
    """The request asks for a version of the API that this service does not speak."""

    type_ = "unsupported_version"
    title = "Unsupported version."
    status = 400


class NotFoundError(ServiceError):
    """There is nothing at this address."""

    type_ = "not_found"
    title = "Not found."
    status = 404


class RangeError(ServiceError):
    """The range that was asked for lies outside the file."""

    type_ = "range_not_satisfiable"
    title = "Range not satisfiable."
    status = 416


class ConflictError(ServiceError):
    """The request does not fit the present state."""

    type_ = "conflict"
    title = "Conflict."
    status = 409


class NameTakenError(ConflictError):
    """Another dataset has this name."""

    type_ = "name_taken"
    title = "The name is taken."


class NotReadyError(ConflictError):
    """What the request needs is not finished, or failed."""

    type_ = "not_ready"
    title = "Not ready."


class NotCancellableError(ConflictError):
    """The work has already ended."""

    type_ = "not_cancellable"
    title = "Nothing to cancel."


class InvalidRequestError(ServiceError):
    """The request is well-formed and cannot be carried out."""

    type_ = "invalid_request"
    title = "The request is not valid."
    status = 422


class UnavailableError(ServiceError):
    """A part that the service needs does not answer."""

    type_ = "unavailable"
    title = "Unavailable."
    status = 503
