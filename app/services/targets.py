"""Where requests may go that a client asked for: out to the internet, and never to anything of ours.

A name is resolved when the connection is made, every address it has is looked at, and the connection goes to exactly
such an address. Whoever changes their name's addresses between a check and its use (DNS rebinding) changes nothing, for
there is no second look-up.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

import httpcore2

CONNECT_SECONDS: Final = 3.0
MAX_ADDRESSES: Final = 4
MAX_URL: Final = 2000
HTTPS_PORT: Final = 443
FREE_PORTS: Final = 1024
"""Below are those of mail and such, which should not be made to listen to us."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name; raises ``OSError`` where there are none."""

# What IANA has given out, or set aside, and the library takes for public.
_IPV4_SET_ASIDE: Final = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_IPV6_GIVEN_OUT: Final = IPv6Network("2000::/3")
_IPV6_SET_ASIDE: Final = (IPv6Network("2001::/23"), IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"))
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NETWORK: Final = httpcore2.AnyIOBackend()


class TargetRefusedError(Exception):
    """A request may not go there; the text says why, for whoever asked for it."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name as the system knows them, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet, also where it is only a form of another one.

    Private, loopback, link-local, shared, multicast, reserved and unspecified addresses do not; IPv6 addresses that
    stand for an IPv4 address (mapped, 6to4, NAT64) are what that one is; older ways of embedding are refused.

    Raises:
        ValueError: If it is no address.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        set_aside = any(parsed in network for network in _IPV4_SET_ASIDE)
        return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or set_aside)
    inner = parsed.ipv4_mapped or parsed.sixtofour or _behind_nat64(parsed)
    if inner is not None:
        return is_public(str(inner))
    set_aside = any(parsed in network for network in _IPV6_SET_ASIDE)
    return parsed in _IPV6_GIVEN_OUT and parsed.scope_id is None and not set_aside


def require_target(url: str, *, private: bool) -> tuple[str, int]:
    """Refuse a URL by its looks: other schemes, passwords, ports of other protocols.

    Args:
        url: An absolute URL as ``pydantic.HttpUrl`` writes it.
        private: Whether the operator lets requests go anywhere.

    Returns:
        Its host and port.

    Raises:
        TargetRefusedError: If no request may go there, whatever its host.
    """
    parts = urlsplit(url)
    usual = HTTPS_PORT if parts.scheme == "https" else 80
    port = usual if parts.port is None else parts.port
    if parts.scheme != "https" and not private:
        raise TargetRefusedError("must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise TargetRefusedError("must not hold a user name or a password: requests are signed instead")
    if parts.fragment:
        raise TargetRefusedError("must not have a fragment (#...): it is not sent")
    if port == 0 or (port < FREE_PORTS and port != HTTPS_PORT and not private):
        raise TargetRefusedError("must have the port 443, or one from 1024 to 65535")
    if len(url) > MAX_URL:
        raise TargetRefusedError(f"must have at most {MAX_URL} characters, as it is written to be sent")
    return parts.hostname or "", port


def require_public(host: str, addresses: Iterable[str]) -> None:
    """Refuse a host any of whose addresses is not public.

    Raises:
        TargetRefusedError: If so. The message does not tell the address: it may be a secret of our network.
    """
    if not all(map(is_public, addresses)):
        raise TargetRefusedError(f"{host} leads to an address that is not public, where this service sends nothing")


@dataclass(frozen=True, slots=True)
class Guarded(httpcore2.AsyncNetworkBackend):
    """Connections to what may be reached, and to nothing else.

    Attributes:
        private: Whether the operator lets requests go anywhere.
        look_up: How names become addresses.
        network: Who connects.
    """

    private: bool
    look_up: Resolve
    network: httpcore2.AsyncNetworkBackend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of the host that answers.

        Raises:
            TargetRefusedError: If any of its addresses may not be reached.
            httpcore2.ConnectError: If the name is not known, or nobody answers.
            httpcore2.ConnectTimeout: If nobody answers in time.
        """
        try:
            addresses = await self.look_up(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("the name is not known") from error
        if not self.private:
            require_public(host, addresses)
        refusal: Exception = httpcore2.ConnectError("the name has no address")
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await self.network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                refusal = error
        raise refusal


@dataclass(frozen=True, slots=True)
class Outlet:
    """The way out of this service.

    It is the library below httpx2, because that one lets the network be chosen; it follows no redirects, keeps no
    cookies and asks no environment for a proxy.
    """

    pool: httpcore2.AsyncConnectionPool
    private: bool

    async def post(self, url: str, *, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        """Send a request and give the status and the headers of the answer; its body is not read.

        Raises:
            TargetRefusedError: If nothing may be sent there.
            httpcore2.NetworkError: If there is no connection, or it breaks.
            httpcore2.TimeoutException: If nobody answers in time.
            httpcore2.ProtocolError: If the answer is no HTTP.
        """
        require_target(url, private=self.private)
        named = [("host", urlsplit(url).netloc), ("connection", "close"), *headers.items()]
        patience = {"timeout": {"connect": CONNECT_SECONDS}}
        async with self.pool.stream("POST", url, headers=named, content=body, extensions=patience) as answer:
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            return answer.status, told


@asynccontextmanager
async def open_outlet(
    *, private: bool, look_up: Resolve = resolve, network: httpcore2.AsyncNetworkBackend = _NETWORK
) -> AsyncIterator[Outlet]:
    """Open the way out; connections are made anew for each request, so that each is checked.

    Args:
        private: Whether the operator lets requests go anywhere.
        look_up: How names become addresses.
        network: Who connects to an address that was checked.
    """
    guarded = Guarded(private, look_up, network)
    async with httpcore2.AsyncConnectionPool(
        _tls(), max_connections=None, max_keepalive_connections=0, network_backend=guarded
    ) as pool:
        yield Outlet(pool, private)


@cache
def _tls() -> ssl.SSLContext:
    # Reading all authorities takes a tenth of a second.
    return httpcore2.default_ssl_context()


def _behind_nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None
