"""Where webhooks are sent to: it takes everything, and counts."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.local.parts import HOST


@dataclass(frozen=True, slots=True)
class Receiver:
    """An address, and how often each message came there."""

    url: str
    messages: Counter[str] = field(default_factory=Counter)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    counted: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            counted[self.headers.get("webhook-id", "")] += 1
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
        thread.start()
        try:
            yield Receiver(f"http://{HOST}:{server.server_port}/", counted)
        finally:
            server.shutdown()
            thread.join()
