"""Every error that the service answers with, as RFC 9457 problem details.

::

    ServiceError                         500  internal_error
    ├── BadRequestError                  400  bad_request
    │   ├── UnsupportedVersionError           unsupported_version
    │   └── BadHostError                      bad_host
    ├── UnauthorizedError                401  unauthorized
    ├── ForbiddenError                   403  forbidden
    │   ├── KeysRequiredError                 keys_required
    │   └── ForeignOriginError                foreign_origin
    ├── NotFoundError                    404  not_found
    ├── MethodNotAllowedError            405  method_not_allowed
    ├── RequestTimeoutError              408  request_timeout
    ├── ConflictError                    409  conflict
    │   ├── NameTakenError                    name_taken
    │   ├── NotReadyError                     not_ready
    │   ├── UploadIncompleteError             upload_incomplete
    │   ├── UploadCompleteError               upload_complete
    │   ├── NotPresignedError                 not_presigned
    │   ├── KeyEndedError                     key_ended
    │   ├── NotDeletableError                 not_deletable
    │   ├── InUseError                        in_use
    │   ├── WebhookDisabledError              webhook_disabled
    │   ├── NotCancellableError               not_cancellable
    │   └── NotRetryableError                 not_retryable
    ├── PreconditionFailedError          412  precondition_failed
    ├── TooLargeError                    413  too_large
    ├── UnsupportedMediaError            415  unsupported_media_type
    ├── RangeError                       416  range_not_satisfiable
    ├── InvalidRequestError              422  invalid_request
    │   ├── ChecksumMismatchError             checksum_mismatch
    │   ├── InvalidCursorError                invalid_cursor
    │   └── IdempotencyKeyReusedError         idempotency_key_reused
    ├── TooManyRequestsError             429  too_many_requests
    │   ├── RateLimitedError                  rate_limited
    │   └── QuotaExceededError                quota_exceeded
    ├── HeadersTooLargeError             431  headers_too_large
    └── UnavailableError                 503  unavailable

The ``type`` of a problem is its stable code; ``errors`` lists the fields to change, where there are any.
What to do about each is in docs/errors.md.
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


class BadRequestError(ServiceError):
    """The request is no HTTP, or ended before it was complete."""

    type_ = "bad_request"
    title = "Bad request."
    status = 400


class UnsupportedVersionError(BadRequestError):
    """The request asks for a version of the API that this service does not speak."""

    type_ = "unsupported_version"
    title = "Unsupported version."


class BadHostError(BadRequestError):
    """The request names a host that this service is not."""

    type_ = "bad_host"
    title = "Not this host."


class UnauthorizedError(ServiceError):
    """The request comes without a key, or with one that nobody has."""

    type_ = "unauthorized"
    title = "A key is needed."
    status = 401


class ForbiddenError(ServiceError):
    """The key does not allow it."""

    type_ = "forbidden"
    title = "Not allowed."
    status = 403


class KeysRequiredError(ForbiddenError):
    """The service asks for no keys, and this request does not come from its own machine."""

    type_ = "keys_required"
    title = "Only for this machine."


class ForeignOriginError(ForbiddenError):
    """The service asks for no keys, and a page of another site sent this request."""

    type_ = "foreign_origin"
    title = "Not from this page."


class NotFoundError(ServiceError):
    """There is nothing at this address."""

    type_ = "not_found"
    title = "Not found."
    status = 404


class MethodNotAllowedError(ServiceError):
    """There is something at this address, and it does not take this method."""

    type_ = "method_not_allowed"
    title = "Method not allowed."
    status = 405


class RequestTimeoutError(ServiceError):
    """The body of the request did not come in time."""

    type_ = "request_timeout"
    title = "Too slow."
    status = 408


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


class UploadIncompleteError(ConflictError):
    """Parts of the upload are missing."""

    type_ = "upload_incomplete"
    title = "The upload is not complete."


class UploadCompleteError(ConflictError):
    """The upload takes no more parts."""

    type_ = "upload_complete"
    title = "The upload is complete."


class NotPresignedError(ConflictError):
    """Clients of this service send parts to it, and not to the store."""

    type_ = "not_presigned"
    title = "Not sent to the store."


class KeyEndedError(ConflictError):
    """The key was revoked, or has expired."""

    type_ = "key_ended"
    title = "The key has ended."


class NotDeletableError(ConflictError):
    """The work has not ended."""

    type_ = "not_deletable"
    title = "Not to be deleted yet."


class InUseError(ConflictError):
    """Something else refers to it."""

    type_ = "in_use"
    title = "In use."


class WebhookDisabledError(ConflictError):
    """Nothing is sent to a webhook that is switched off."""

    type_ = "webhook_disabled"
    title = "Switched off."


class NotCancellableError(ConflictError):
    """The work has already ended."""

    type_ = "not_cancellable"
    title = "Nothing to cancel."


class NotRetryableError(ConflictError):
    """The work has neither failed nor been cancelled."""

    type_ = "not_retryable"
    title = "Nothing to retry."


class PreconditionFailedError(ServiceError):
    """The client named another state of the file than the present one."""

    type_ = "precondition_failed"
    title = "Precondition failed."
    status = 412


class TooLargeError(ServiceError):
    """The request brings, or announces, more than this service takes."""

    type_ = "too_large"
    title = "Too large."
    status = 413


class UnsupportedMediaError(ServiceError):
    """The body is of a kind that this address does not take."""

    type_ = "unsupported_media_type"
    title = "Unsupported media type."
    status = 415


class RangeError(ServiceError):
    """The range that was asked for lies outside the file."""

    type_ = "range_not_satisfiable"
    title = "Range not satisfiable."
    status = 416


class InvalidRequestError(ServiceError):
    """The request is well-formed and cannot be carried out."""

    type_ = "invalid_request"
    title = "The request is not valid."
    status = 422


class ChecksumMismatchError(InvalidRequestError):
    """What came is not what was announced."""

    type_ = "checksum_mismatch"
    title = "The checksum is another."


class InvalidCursorError(InvalidRequestError):
    """The cursor is none of ours, or belongs to another list."""

    type_ = "invalid_cursor"
    title = "The cursor is not valid."


class IdempotencyKeyReusedError(InvalidRequestError):
    """The Idempotency-Key came with another request before."""

    type_ = "idempotency_key_reused"
    title = "The key is taken."


class TooManyRequestsError(ServiceError):
    """The owner has had a fair share."""

    type_ = "too_many_requests"
    title = "Too many requests."
    status = 429


class RateLimitedError(TooManyRequestsError):
    """Too many requests in too short a time."""

    type_ = "rate_limited"
    title = "Too many requests."


class QuotaExceededError(TooManyRequestsError):
    """The owner has as much as one owner may have."""

    type_ = "quota_exceeded"
    title = "Quota exceeded."

    def __init__(self, detail: str, *, used: int, allowed: int) -> None:
        super().__init__(detail)
        self.extras |= {"used": used, "allowed": allowed}


class HeadersTooLargeError(ServiceError):
    """The request has more headers than this service reads."""

    type_ = "headers_too_large"
    title = "Too many headers."
    status = 431


class UnavailableError(ServiceError):
    """A part that the service needs does not answer."""

    type_ = "unavailable"
    title = "Unavailable."
    status = 503
