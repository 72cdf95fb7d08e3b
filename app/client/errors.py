"""Every error that the client raises on purpose.

::

    ClientError
    ├── ConnectionFailedError        no reply came
    │   ├── UnreachableError         nothing answers at this address
    │   └── BrokenConnectionError    the connection ended, or took too long
    ├── UnexpectedReplyError         what answers is not this service
    ├── RefusedError                 the service says no: a problem with code, status and detail
    │   ├── BadRequestError              400
    │   ├── UnauthorizedError            401
    │   ├── ForbiddenError               403
    │   ├── NotFoundError                404
    │   ├── ConflictError                409
    │   ├── InvalidRequestError          422
    │   ├── TooManyRequestsError         429
    │   └── ServiceFailedError           500 and above
    ├── WorkEndedError               work ended otherwise than hoped for
    │   ├── WorkCancelledError           somebody cancelled it
    │   └── WorkFailedError              with code, message and field
    │       ├── DatasetFailedError
    │       ├── DistanceFailedError
    │       ├── SelectionFailedError
    │       └── JobFailedError
    ├── NoResultError                work has no result yet
    ├── WaitTimeoutError             work took longer than the caller would wait
    ├── DamagedDownloadError         a file is not the one whose checksum was announced
    ├── NotUploadableError           there is nothing to upload, or nobody can tell what it is
    └── MissingPackageError          a result is asked for in a form that needs another package

Decide by class or by ``code`` (docs/errors.md lists them); texts are for people.
"""

from collections.abc import Sequence

from app.schemas.problems import FieldProblem, ProblemRead
from app.schemas.work import Failure, WorkRead


class ClientError(Exception):
    """Base of the client's errors."""


class ConnectionFailedError(ClientError):
    """No reply came."""


class UnreachableError(ConnectionFailedError):
    """Nothing answers at this address."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"Nothing answers at {url} ({why}). Start a service with `ot3l serve`, or name another by OT3L_URL."
        )


class BrokenConnectionError(ConnectionFailedError):
    """The connection ended before all of the reply was there, or took too long."""


class UnexpectedReplyError(ClientError):
    """The reply is none of this API: the address is another program's, or something in between answers."""


class RefusedError(ClientError):
    """The service says no.

    Attributes:
        code: Stable name of the error; a program may decide by it.
        status: Of the reply.
        detail: What was wrong and what would be right.
        errors: The fields to change, where there are any.
        request_id: By which the service's log knows the request.
        retry_after: Seconds after which to try again, where the service says so.
    """

    code: str
    status: int
    detail: str
    errors: Sequence[FieldProblem]
    request_id: str | None
    retry_after: float | None

    def __init__(self, problem: ProblemRead, *, retry_after: float | None = None) -> None:
        super().__init__(problem.detail or problem.title)
        self.code = problem.type
        self.status = problem.status
        self.detail = problem.detail or problem.title
        self.errors = tuple(problem.errors)
        self.request_id = problem.request_id
        self.retry_after = retry_after


class BadRequestError(RefusedError):
    """400: the request is not one that this service answers."""


class UnauthorizedError(RefusedError):
    """401: a key is needed, or this one opens nothing."""


class ForbiddenError(RefusedError):
    """403: the key does not allow it."""


class NotFoundError(RefusedError):
    """404: nothing of yours is at this address."""


class ConflictError(RefusedError):
    """409: the request does not fit the present state."""


class InvalidRequestError(RefusedError):
    """422: well-formed, and cannot be carried out; ``errors`` names the fields to change."""


class TooManyRequestsError(RefusedError):
    """429: too many requests in too short a time, or a quota."""


class ServiceFailedError(RefusedError):
    """500 and above: the service made a mistake, or a part of it does not answer."""


CLASS_OF: dict[int, type[RefusedError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidRequestError,
    429: TooManyRequestsError,
}
"""Which error a status is; of the others those of 500 and above are `ServiceFailedError`."""


class WorkEndedError(ClientError):
    """Work ended otherwise than hoped for.

    Attributes:
        work: As it stands.
    """

    def __init__(self, work: WorkRead, message: str) -> None:
        super().__init__(message)
        self.work = work


class WorkCancelledError(WorkEndedError):
    """Somebody cancelled it."""

    def __init__(self, work: WorkRead, noun: str) -> None:
        super().__init__(work, f"The {noun} {work.id} was cancelled.")


class WorkFailedError(WorkEndedError):
    """It failed.

    Attributes:
        code: Stable name of what went wrong.
        message: What was wrong and what would be right.
        field: The setting to change, where one is to blame.
    """

    code: str
    message: str
    field: str | None

    def __init__(self, work: WorkRead, noun: str) -> None:
        failure = work.error or Failure(code="internal_error", message="nobody said why")
        field = f"{failure.field}: " if failure.field else ""
        super().__init__(work, f"The {noun} {work.id} failed: {field}{failure.message} ({failure.code})")
        self.code, self.message, self.field = failure.code, failure.message, failure.field


class DatasetFailedError(WorkFailedError):
    """A dataset could not be inspected."""


class DistanceFailedError(WorkFailedError):
    """A distance could not be measured."""


class SelectionFailedError(WorkFailedError):
    """Nothing could be selected."""


class JobFailedError(WorkFailedError):
    """A job failed."""


class NoResultError(ClientError):
    """The work has no result: it has not succeeded yet, or never will."""


class WaitTimeoutError(ClientError):
    """The work took longer than the caller would wait; it goes on."""


class DamagedDownloadError(ClientError):
    """What came is not what was announced, also when asked for a second time."""


class NotUploadableError(ClientError):
    """There is nothing at the path, or nobody can tell what format it has."""


class MissingPackageError(ClientError):
    """The result is asked for in a form that needs a package which is not installed."""
