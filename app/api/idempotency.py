"""The Idempotency-Key of a request."""

from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response

from app.services.idempotency import Asked, fingerprint_of

_KEY = Header(
    alias="Idempotency-Key",
    min_length=1,
    max_length=255,
    pattern=r"^[\x21-\x7e]+$",
    description="Your own name for this request. Sent again within a day with the same body, it is answered with what "
    "the first one made, in its present state, and nothing is made twice.",
    examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
)
REPLAYED: Final = "Idempotency-Replayed"
REPLAYED_HEADER: Final[dict[str, Any]] = {
    REPLAYED: {"description": "`true` where an earlier request had this key.", "schema": {"type": "string"}}
}
"""For the headers of a route's ``responses``."""


IdempotencyKey = Annotated[str | None, _KEY]
"""The bare header, for a route that reads its body itself."""


def asked_with(request: Request, key: str, body: bytes) -> Asked:
    """A request that came with a key, and what stands for its body."""
    return Asked(key, fingerprint_of(request.method, f"{request.url.path}?{request.url.query}", body))


async def _asked(request: Request, key: IdempotencyKey = None) -> Asked | None:
    return None if key is None else asked_with(request, key, await request.body())


AskedDep = Annotated[Asked | None, Depends(_asked)]
"""The request as ``app.services.idempotency.once`` takes it; for routes whose body is in memory anyway."""


def mark_replayed(response: Response) -> None:
    """Say that the answer is that of an earlier request."""
    response.headers[REPLAYED] = "true"
