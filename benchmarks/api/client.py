"""What stands in for wrk where it is not installed: ``python -m benchmarks.api.client URL '{...}'``.

It prints what came of it as a line of JSON, with the fields of ``benchmarks.api.load.Load``.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

import httptools
import uvloop


@dataclass(slots=True)
class _Found:
    """What has come so far."""

    seconds: list[float] = field(default_factory=list)
    n_bytes: int = 0
    n_errors: int = 0


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is complete."""

    def __init__(self, request: bytes, found: _Found) -> None:
        self._request, self._found = request, found
        self._parser = httptools.HttpResponseParser(self)
        self._sent = 0.0
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._found.n_bytes += len(data)
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Note the answer, and ask again."""
        self._found.seconds.append(time.perf_counter() - self._sent)
        if self._parser.get_status_code() >= HTTPStatus.BAD_REQUEST:
            self._found.n_errors += 1
        if not self._done:
            self._send()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Count a connection that was not ended by us."""
        self._found.n_errors += not self._done

    def stop(self) -> None:
        """End it; what is under way is not counted."""
        self._done = True
        self._transport.abort()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)


async def put_load(url: str, asked: dict[str, Any]) -> dict[str, float]:
    """Keep every connection busy for so many seconds."""
    address = urlsplit(url)
    path = address.path + (f"?{address.query}" if address.query else "")
    headers = {"Host": address.netloc, **asked["headers"]}
    if asked["body"]:
        headers["Content-Length"] = str(len(asked["body"].encode()))
    lines = [f"{asked['method']} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    request = "\r\n".join([*lines, "", asked["body"]]).encode()
    found, loop = _Found(), asyncio.get_running_loop()
    began = time.perf_counter()
    opened = [
        await loop.create_connection(lambda: _Connection(request, found), address.hostname or "", address.port or 80)
        for _ in range(asked["connections"])
    ]
    await asyncio.sleep(asked["seconds"])
    seconds = time.perf_counter() - began
    for _, connection in opened:
        connection.stop()
    taken = quantiles(found.seconds, n=100) if len(found.seconds) > 1 else [0.0] * 99
    counts = {"requests": len(found.seconds), "bytes": found.n_bytes, "errors": found.n_errors}
    return counts | {"seconds": seconds, "p50": taken[49], "p99": taken[98]}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(put_load(sys.argv[1], json.loads(sys.argv[2])))))
