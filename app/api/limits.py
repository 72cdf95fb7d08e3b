"""How often one key may ask: fixed windows of the clock, counted in the broker, so for all processes together."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem, parse_many
from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.errors import RateLimitedError
from app.settings import Settings

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 0.25
"""How long a request waits for the broker before it goes on uncounted."""
REST_SECONDS: Final = 1.0
"""How long the broker is left alone after it did not answer."""
_N_CONNECTIONS: Final = 16


class RateLimitError(ValueError):
    """The operator's limit is none that can be understood, or nothing can count it."""


@dataclass(frozen=True, slots=True)
class _State:
    """How far a window is used up; ``resets_in`` is in whole seconds, at least 1."""

    policy: RateLimitItem
    used: int
    resets_in: int


@dataclass(slots=True)
class RateLimits:
    """What one key may ask for in a while.

    A broker that does not answer lets everything through: to count is not worth an outage.

    Attributes:
        policies: Each counts on its own, the shortest first.
        storage: Where they are counted.
        pool: Its connections.
        clock: Seconds since the epoch; windows begin at multiples of their length.
    """

    policies: tuple[RateLimitItem, ...]
    storage: RedisStorage
    pool: BlockingConnectionPool
    clock: Callable[[], float] = time.time
    _rests_until: float = 0.0

    async def take(self, who: str) -> dict[str, str]:
        """Count a request.

        Returns:
            Headers that say how much is left; none where it was not counted.

        Raises:
            RateLimitedError: If there are none left. What is refused by a short window does not count in a longer one.
        """
        now = self.clock()
        if now < self._rests_until:
            return {}
        if self._rests_until:
            # One request tries whether the broker is back; those beside it do not wait with it.
            self._rests_until = now + REST_SECONDS
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                states = await self._count(who, now)
        except (RedisError, OSError, TimeoutError) as error:
            self._rests_until = now + REST_SECONDS
            log.warning("rate limits: the broker does not count, and every request goes through: %r", error)
            return {}
        self._rests_until = 0.0
        headers = _headers_of(states)
        last = states[-1]
        if last.used > last.policy.amount:
            raise RateLimitedError(
                f"There may be {last.policy.amount} requests in {last.policy.get_expiry()} s: "
                f"ask again in {last.resets_in} s.",
                headers=headers | {"Retry-After": str(last.resets_in)},
            )
        return headers

    async def close(self) -> None:
        """Close the connections to the broker."""
        await self.pool.aclose()

    async def _count(self, who: str, now: float) -> list[_State]:
        """Count the request in each window, up to one that is full."""
        states: list[_State] = []
        for policy in self.policies:
            seconds = policy.get_expiry()
            window, into = divmod(now, seconds)
            used = await self.storage.incr(policy.key_for(who, int(window)), seconds)
            states.append(_State(policy, used, max(1, math.ceil(seconds - into))))
            if used > policy.amount:
                break
        return states


def open_rate_limits(settings: Settings) -> RateLimits | None:
    """The limits that the settings name; None where they name none.

    Raises:
        RateLimitError: If they cannot be understood, or the broker is none that counts.
    """
    if not settings.rate_limit:
        return None
    try:
        policies = sorted(parse_many(settings.rate_limit), key=RateLimitItem.get_expiry)
        # Connections that fail are not tried again: that is what costs nothing when the broker is down.
        pool = BlockingConnectionPool.from_url(
            settings.broker_url,
            max_connections=_N_CONNECTIONS,
            timeout=PATIENCE_SECONDS,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise RateLimitError(
            f"OT3L_RATE_LIMIT={settings.rate_limit!r} must be like `100/second; 2000/minute`, and OT3L_BROKER_URL "
            f"name a Redis or Valkey: {error}"
        ) from error
    storage = RedisStorage("async+redis://", implementation="redispy", key_prefix="ot3l-rate", connection_pool=pool)  # type: ignore[arg-type]
    return RateLimits(tuple(policies), storage, pool)


def _headers_of(states: Sequence[_State]) -> dict[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers-10 has it; a policy is named by the length of its window."""
    named = [(f'"{state.policy.get_expiry()}s"', state) for state in states]
    policies = (f"{name};q={state.policy.amount};w={state.policy.get_expiry()}" for name, state in named)
    left = (f"{name};r={max(0, state.policy.amount - state.used)};t={state.resets_in}" for name, state in named)
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)}
