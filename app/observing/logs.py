"""Log lines with structure: one JSON object each, or text for people.

Code logs through the standard library. What belongs to every line of a request or of a piece of work is bound once, by
``bind``, and stands in all of them, those of libraries too.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any

import structlog
from structlog.typing import Processor

from app.settings import LogFormat

_SPEAK_FOR_THEMSELVES = ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task", "celery.redirected")
_QUIET = ("httpx2", "httpcore2", "matplotlib", "numba", "kombu", "amqp", "alembic.runtime")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configure_logs(log_format: LogFormat) -> None:
    """Send every line of this process to its standard error in one form.

    Args:
        log_format: JSON, in which nothing that a client sent can end a line, or text, in which it cannot either.
    """
    told: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _without_colours,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    form: list[Processor] = [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()]
    if log_format is LogFormat.TEXT:
        form = [_without_control_characters, structlog.dev.ConsoleRenderer(colors=False)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=told, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *form]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _SPEAK_FOR_THEMSELVES:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def bind(**told: str | int) -> AbstractContextManager[None]:
    """Put this into every line until the end of the block, in this thread or task and those it starts."""
    return structlog.contextvars.bound_contextvars(**told)


def bind_request(request_id: str) -> None:
    """Put the request's id into every line; a request is a task of its own and takes it along when it ends."""
    structlog.contextvars.bind_contextvars(request_id=request_id)


def _without_colours(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out what uvicorn says a second time, for terminals."""
    event.pop("color_message", None)
    return event


def _without_control_characters(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str) and name != "exception":
            event[name] = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    return event
