"""What takes more than one request: trying again, turning pages, waiting. Written once, for both clients."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Protocol, TypeVar
from uuid import uuid4

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from app.client.calls import KEY_HEADER, Call, Reply, Request, refusal
from app.client.errors import (
    ConnectionFailedError,
    NotFoundError,
    RefusedError,
    WaitTimeoutError,
    WorkCancelledError,
)
from app.client.nouns import Noun, Page, logs, show
from app.client.wire import Wire
from app.schemas.events import LineRead
from app.schemas.work import Reply as Body
from app.schemas.work import WorkRead
from app.states import WorkState

T = TypeVar("T")
R = TypeVar("R", bound=WorkRead)
S = TypeVar("S", bound=Body)

FIRST_SECONDS: Final = 0.2
LONGEST_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 60.0
"""A service that asks for more than this is not waited for: its error says for how long."""
LOOK_SECONDS: Final = (0.2, 2.0)
"""How long to wait between two looks at work: at first, and in the end."""
REDIRECTS: Final = frozenset({302, 303, 307, 308})
PASSING: Final = frozenset({500, 502, 503, 504})
LOG_LINES: Final = 1000
# A little of it by chance, so that clients that failed together do not come back together.
_backoff = wait_exponential(multiplier=FIRST_SECONDS, max=LONGEST_SECONDS) + wait_random(0.0, FIRST_SECONDS / 2)


class OnProgress(Protocol):
    """Told of work whenever it was looked at; ``work.phase`` and ``work.progress`` say how far it is."""

    def __call__(self, work: WorkRead, /) -> None:
        """Take notice."""


def passes(error: BaseException) -> bool:
    """Whether an error is worth another try."""
    if isinstance(error, ConnectionFailedError):
        return True
    if not isinstance(error, RefusedError) or (error.retry_after or 0.0) > PATIENCE_SECONDS:
        return False
    return error.status in PASSING or (error.status == 429 and error.retry_after is not None)


def pause(state: RetryCallState) -> float:
    """Seconds until the next try: longer each time, and never less than the service asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, RefusedError) else None
    return max(_backoff(state), asked or 0.0)


def seconds_before(failures: int, error: Exception) -> float:
    """The same of a stream that has failed so often since something came."""
    asked = error.retry_after if isinstance(error, RefusedError) else None
    return max(min(FIRST_SECONDS * 2.0**failures, LONGEST_SECONDS), asked or 0.0)


def retrying(wire: Wire) -> AsyncRetrying:
    """Tries again what may pass, as often as the wire says."""
    return AsyncRetrying(
        sleep=wire.sleep,
        stop=stop_after_attempt(wire.attempts),
        wait=pause,
        retry=retry_if_exception(passes),
        reraise=True,
    )


def named(request: Request) -> Request:
    """Give a POST its Idempotency-Key, unless it has one; it stays the same however often it is sent."""
    if request.method != "POST" or KEY_HEADER in request.headers:
        return request
    return request.with_header(KEY_HEADER, str(uuid4()))


async def send(wire: Wire, call: Call[T]) -> T:
    """Send a call until it is answered.

    Raises:
        RefusedError: If the service says no.
        ConnectionFailedError: If no reply came, as often as it was tried.
        UnexpectedReplyError: If what answers is not this service.
    """
    request, policy = named(call.request), retrying(wire)

    async def attempt() -> Reply:
        reply = await wire.fetch(request)
        if reply.status in REDIRECTS and request.method == "GET":
            # To the store itself; a whole address, to which the wire sends no key.
            reply = await wire.fetch(Request("GET", reply.headers.get("location", "")))
        error = refusal(reply)
        if isinstance(error, NotFoundError) and request.method == "DELETE" and policy.statistics["attempt_number"] > 1:
            # The try before did it, and only its reply was lost.
            return reply
        if error is not None:
            raise error
        return reply

    ask: Callable[[Callable[[], Awaitable[Reply]]], Awaitable[Reply]] = policy
    return call.read(await ask(attempt))


async def turn_pages(
    wire: Wire, page: Callable[[dict[str, object]], Call[Page[S]]], query: dict[str, object]
) -> AsyncGenerator[S, None]:
    """All items of a list, page by page as they are asked for."""
    cursor: object = None
    while True:
        found = await send(wire, page({**query, "cursor": cursor}))
        for item in found.items:
            yield item
        if found.next is None:
            return
        cursor = found.next


async def read_log(wire: Wire, noun: Noun[R], name: str, since: int) -> AsyncGenerator[LineRead, None]:
    """All lines of a log so far."""
    while lines := await send(wire, logs(noun, name, since=since, limit=LOG_LINES)):
        for line in lines:
            yield line
        since = lines[-1].number


async def wait(wire: Wire, noun: Noun[R], name: str, *, on_progress: OnProgress | None, seconds: float | None) -> R:
    """Look at work until it has ended.

    Raises:
        WorkFailedError: If it failed.
        WorkCancelledError: If it was cancelled.
        WaitTimeoutError: If it takes longer than so many seconds.
    """
    pause_seconds, waited = LOOK_SECONDS[0], 0.0
    while True:
        work = await send(wire, show(noun, name))
        if on_progress is not None:
            on_progress(work)
        if work.state.is_terminal:
            return require_success(noun, work)
        if seconds is not None and waited + pause_seconds > seconds:
            raise WaitTimeoutError(f"The {noun.word} {name} is {work.state} after {seconds:g} s; it goes on.")
        await wire.sleep(pause_seconds)
        waited += pause_seconds
        pause_seconds = min(1.5 * pause_seconds, LOOK_SECONDS[1])


def require_success(noun: Noun[R], work: R) -> R:
    """The work, if it has succeeded.

    Raises:
        WorkFailedError: If it failed.
        WorkCancelledError: If it was cancelled.
    """
    match work.state:
        case WorkState.FAILED:
            raise noun.failed(work, noun.word)
        case WorkState.CANCELLED:
            raise WorkCancelledError(work, noun.word)
    return work
