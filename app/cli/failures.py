"""What a failure looks like in a shell: a few red lines, and a status that a script may decide by."""

from enum import IntEnum

from app.cli.output import say_error


class Status(IntEnum):
    """How a command ends."""

    OK = 0
    FAILED = 1
    """Work failed or was cancelled, the service refused, or a file is not what it should be."""
    USAGE = 2
    """The command line makes no sense."""
    UNREACHABLE = 3
    """No service answers."""
    INTERRUPTED = 130
    """Ctrl-C."""


def explain(error: Exception) -> Status | None:
    """Say in a few lines what went wrong; None where nobody foresaw it."""
    # Whoever gets here has imported most of them already.
    from app.client.errors import ClientError, ConnectionFailedError, RefusedError
    from app.errors import ServiceError
    from ot3l_core.errors import CoreError

    match error:
        case RefusedError():
            said = [error.detail] if len(error.errors) < 2 else [f"{one.field}: {one.message}" for one in error.errors]
            say_error(*said, f"({error.code}, request {error.request_id})" if error.request_id else f"({error.code})")
        case ConnectionFailedError():
            say_error(str(error))
            return Status.UNREACHABLE
        case ServiceError():
            say_error(str(error.detail))
        case ClientError() | CoreError() | OSError():
            say_error(str(error))
        case _:
            return None
    return Status.FAILED
