"""Where a service is, from arguments or from the environment."""

from collections.abc import Mapping
from typing import Final, TypedDict

import httpx2

from app.client.wire import Address

URL_VARIABLE: Final = "OT3L_URL"
KEY_VARIABLE: Final = "OT3L_API_KEY"
DEFAULT_URL: Final = "http://127.0.0.1:8000"
ATTEMPTS: Final = 4
SECONDS: Final = 60.0
"""More than the 15 seconds after which an idle stream of events says that it is still there."""


class HttpArguments(TypedDict):
    """Of both clients of the HTTP library."""

    timeout: httpx2.Timeout
    trust_env: bool
    headers: dict[str, str]


def address_of(
    environment: Mapping[str, str], url: str | None, key: str | None, *, attempts: int, seconds: float
) -> Address:
    """What the arguments say; where they say nothing, the environment.

    Raises:
        ClientError: If that is no address.
    """
    return Address(
        url=url or environment.get(URL_VARIABLE) or DEFAULT_URL,
        key=key or environment.get(KEY_VARIABLE) or None,
        attempts=attempts,
        seconds=seconds,
    )


def http_arguments(address: Address) -> HttpArguments:
    """How the HTTP library is to behave: a proxy of the environment does not lead to this machine."""
    return HttpArguments(
        timeout=httpx2.Timeout(address.seconds, connect=min(address.seconds, 10.0)),
        trust_env=not address.is_loopback,
        headers={"User-Agent": "ot3l-python"},
    )
