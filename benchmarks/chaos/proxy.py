"""A TCP proxy on loopback whose connections can be cut, silenced and slowed down."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

HOST = "127.0.0.1"
_CHUNK_BYTES = 1 << 16


@dataclass(slots=True)
class Proxy:
    """Passes on what it gets; all attributes belong to its own thread.

    Attributes:
        port: Where it listens.
        upstream: The port that it passes everything on to.
        delay: Seconds that every piece waits.
        is_cut: Whether connections are refused.
        flows: Set while anything is passed on at all.
    """

    port: int
    upstream: int
    delay: float = 0.0
    is_cut: bool = False
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        self._do(self._cut)

    def silence(self) -> None:
        """Swallow everything for a while, as a network does: nobody is told, and nothing is lost in the end."""
        self._do(self.flows.clear)

    def slow(self, seconds: float) -> None:
        """Let every piece wait."""
        self._do(lambda: setattr(self, "delay", seconds))

    def restore(self) -> None:
        """Pass everything on again."""
        self._do(self._restore)

    def _do(self, change: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait()

    def _cut(self) -> None:
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def _restore(self) -> None:
        self.delay, self.is_cut = 0.0, False
        self.flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        try:
            upward = await asyncio.open_connection(HOST, self.upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, upward[1]}
        try:
            await asyncio.gather(self._pass_on(reader, upward[1]), self._pass_on(upward[0], writer))
        finally:
            self._writers -= {writer, upward[1]}
            for each in (writer, upward[1]):
                each.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(_CHUNK_BYTES):
                await self.flows.wait()
                await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
            return
        writer.transport.abort()

    def run(self, ready: threading.Event) -> None:
        """Serve until ``stop``."""
        asyncio.set_event_loop(self._loop)
        self.flows.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, HOST, self.port))
        ready.set()
        self._loop.run_forever()
        server.close()
        remaining = asyncio.all_tasks(self._loop)
        for task in remaining:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*remaining, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        """End all connections and the service of new ones."""
        self._loop.call_soon_threadsafe(self._loop.stop)


@contextmanager
def proxy(port: int, upstream: int) -> Iterator[Proxy]:
    """A proxy from ``port`` to ``upstream``, both on loopback, in a thread of its own."""
    made, ready = Proxy(port, upstream), threading.Event()
    thread = threading.Thread(target=made.run, args=(ready,), name=f"proxy-{port}", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield made
    finally:
        made.stop()
        thread.join()
