"""Small real servers on loopback, for what an in-process client never meets: streams, and connections that break."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import uvicorn


@contextlib.contextmanager
def serving(app):
    """An application over real connections; gives its URL."""
    # Named as TCP, or else asyncio leaves Nagle's algorithm on, and every reply waits 40 ms for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1, loop="asyncio")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Scripted(ThreadingHTTPServer):
    """Answers what it is told to.

    Attributes:
        requests: Method, path, headers and body of each.
        answers: Status, headers and body for each; the last one for all that follow. None ends the connection.
    """

    daemon_threads = True

    def __init__(self, *answers):
        self.requests = []
        self.answers = answers
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers = self.server.answers
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        answer = answers[min(len(self.server.requests), len(answers)) - 1]
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _answer  # noqa: N815 - as the library wants them named

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def scripted(*answers):
    """A server that gives these answers, one after another."""
    with Scripted(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Cutting:
    """A way to a server on which connections break.

    Attributes:
        cuts: After how many bytes of replies each next connection ends; those that come later are whole.
        n_connections: How many there were.
    """

    def __init__(self, upstream):
        host, port = upstream.removeprefix("http://").split(":")
        self.upstream = (host, int(port))
        self.cuts = []
        self.n_connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.threads = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.n_connections += 1
                left = self.cuts.pop(0) if self.cuts else None
                thread = threading.Thread(target=self._carry, args=(client, left))
                thread.start()
                self.threads.append(thread)

    def _carry(self, client, left):
        with client, socket.create_connection(self.upstream) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asking = threading.Thread(target=_pipe, args=(client, server, None))
            asking.start()
            _pipe(server, client, left)
            asking.join()


def _pipe(source, sink, left):
    with contextlib.suppress(OSError), contextlib.ExitStack() as closing:
        for end in (source, sink):
            closing.callback(_end, end)
        while piece := source.recv(1 << 16):
            sink.sendall(piece if left is None else piece[:left])
            left = None if left is None else left - len(piece)
            if left is not None and left <= 0:
                return


def _end(connection):
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cutting(upstream):
    """A proxy before a server."""
    proxy = Cutting(upstream)
    thread = threading.Thread(target=proxy.accept)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.listener.shutdown(socket.SHUT_RDWR)
        proxy.listener.close()
        thread.join()
        for carrying in proxy.threads:
            carrying.join()


def one_connection_each():
    """To send by, so that a proxy sees a connection for every request."""
    return httpx2.Client(limits=httpx2.Limits(max_keepalive_connections=0), timeout=30.0)
