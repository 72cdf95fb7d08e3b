"""A real HTTP server that takes webhooks."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """Keeps what it gets, and answers as it is told.

    Attributes:
        requests: Path, headers and body of each.
        answers: Status and headers for each; the last one for all that follow.
        other_words: Said to everybody in place of HTTP.
    """

    answers = ((204, {}),)
    other_words = b""

    def __init__(self):
        self.requests = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook?for=ot3l"


class _Handler(BaseHTTPRequestHandler):
    def handle(self):
        if self.server.other_words:
            self.request.recv(1 << 16)
            self.wfile.write(self.server.other_words)
        else:
            super().handle()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answers = self.server.answers
        status, headers = answers[min(len(self.server.requests), len(answers) - 1)]
        self.server.requests.append((self.path, dict(self.headers), body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(b"x" * 100_000)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def receiving():
    """A receiver that listens."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
