"""How requests get to a service and back: the one protocol that the flows are written for, and its two sides.

A flow is written once, as a coroutine over a `Wire`. `AsyncWire` waits as such a coroutine does. `BlockingWire` blocks
inside its own coroutines, so that none of them ever suspends, and `run` brings a flow to its end without any loop.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx2

from app.client.calls import Reply, Request
from app.client.errors import BrokenConnectionError, ClientError, UnreachableError

T = TypeVar("T")
API_VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is, and by what right it is asked.

    Attributes:
        url: Its scheme, host and port, and path if it has one.
        key: None where it asks for none.
        attempts: How often a request is sent before its error is told.
        seconds: How long to wait for a connection, or for the next bytes.
    """

    url: str
    key: str | None = field(repr=False)
    attempts: int
    seconds: float

    def __post_init__(self) -> None:
        """Refuse what is no address.

        Raises:
            ClientError: If it is none, or nothing would ever be sent.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ClientError(f"{self.url!r} is no address of a service: write http://127.0.0.1:8000, or https://...")
        if self.attempts < 1:
            raise ClientError(f"attempts must be at least 1: got {self.attempts}")

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, where no proxy leads to."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            return False

    def written(self, request: Request) -> tuple[str, dict[str, str]]:
        """Whole address and all headers of a request; a foreign address gets neither key nor version."""
        if not request.address.startswith("/"):
            return request.address, dict(request.headers)
        own = {"OT3L-Version": API_VERSION} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        return self.url.rstrip("/") + request.address, own | dict(request.headers)


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply whose body is still to come.

    Attributes:
        status: Its number.
        headers: By their names in small letters.
        pieces: The body; it raises `BrokenConnectionError` where it ends too early.
    """

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]

    async def whole(self) -> Reply:
        """Read it to its end."""
        return Reply(self.status, self.headers, b"".join([piece async for piece in self.pieces]))


class Wire(Protocol):
    """What a flow does to the world."""

    @property
    def attempts(self) -> int:
        """How often it tries, in vain, before it gives up."""

    async def fetch(self, request: Request) -> Reply:
        """Send a request and read the reply to its end.

        Raises:
            ConnectionFailedError: If none comes.
        """

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Send a request and read the reply piece by piece."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def work(self, do: Callable[[], T]) -> T:
        """Do what takes long and is no waiting."""


@dataclass(frozen=True, slots=True)
class BlockingWire:
    """The side of ``Client``."""

    address: Address
    http: httpx2.Client

    @property
    def attempts(self) -> int:
        """As the address says."""
        return self.address.attempts

    async def fetch(self, request: Request) -> Reply:
        """Send and wait."""
        url, headers = self.address.written(request)
        with _explained(url):
            got = self.http.request(request.method, url, headers=headers, content=request.content)
        return Reply(got.status_code, _small(got.headers), got.content)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Send, and wait for each piece."""
        url, headers = self.address.written(request)

        async def pieces(got: httpx2.Response) -> AsyncIterator[bytes]:
            with _explained(url):
                for piece in got.iter_raw():
                    yield piece

        with (
            _explained(url),
            self.http.stream(request.method, url, headers=headers, content=request.content) as got,
        ):
            yield Stream(got.status_code, _small(got.headers), pieces(got))

    async def sleep(self, seconds: float) -> None:
        """Wait, and let nothing else go on."""
        time.sleep(seconds)  # noqa: ASYNC251 - no loop runs this

    async def work(self, do: Callable[[], T]) -> T:
        """Do it here."""
        return do()


@dataclass(frozen=True, slots=True)
class AsyncWire:
    """The side of ``AsyncClient``."""

    address: Address
    http: httpx2.AsyncClient

    @property
    def attempts(self) -> int:
        """As the address says."""
        return self.address.attempts

    async def fetch(self, request: Request) -> Reply:
        """Send and wait."""
        url, headers = self.address.written(request)
        with _explained(url):
            got = await self.http.request(request.method, url, headers=headers, content=request.content)
        return Reply(got.status_code, _small(got.headers), got.content)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Send, and wait for each piece."""
        url, headers = self.address.written(request)

        async def pieces(got: httpx2.Response) -> AsyncIterator[bytes]:
            with _explained(url):
                async for piece in got.aiter_raw():
                    yield piece

        with _explained(url):
            async with self.http.stream(request.method, url, headers=headers, content=request.content) as got:
                yield Stream(got.status_code, _small(got.headers), pieces(got))

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    async def work(self, do: Callable[[], T]) -> T:
        """Do it in a thread."""
        return await anyio.to_thread.run_sync(do)


def run(flow: Coroutine[object, None, T]) -> T:
    """Bring a flow over a `BlockingWire` to its end."""
    try:
        flow.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    flow.close()
    raise RuntimeError("a flow over a blocking wire has suspended")


def iterate(flow: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Go through a flow over a `BlockingWire`; what it holds open is closed with the iterator."""
    try:
        while True:
            try:
                yield run(_next(flow))
            except StopAsyncIteration:
                return
    finally:
        run(_close(flow))


async def _next(flow: AsyncGenerator[T, None]) -> T:
    return await anext(flow)


async def _close(flow: AsyncGenerator[T, None]) -> None:
    await flow.aclose()


def _small(headers: httpx2.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn the errors of the HTTP library into ours."""
    origin = "://".join(urlsplit(url)[:2])
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise UnreachableError(origin, str(error) or type(error).__name__) from error
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        raise BrokenConnectionError(
            f"The connection to {origin} broke: {str(error) or type(error).__name__}."
        ) from error
    except httpx2.InvalidURL as error:
        raise ClientError(f"{url!r} is no address: {error}") from error
