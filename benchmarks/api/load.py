"""As many requests as a server answers, over a few connections that stay open."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

_SCRIPT = Path(__file__).with_name("load.lua")
_CLIENT = "benchmarks.api.client"
_ROOT = Path(__file__).parents[2]
GENERATOR = "wrk" if shutil.which("wrk") else "our own client (wrk is not installed)"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that is sent again and again.

    Attributes:
        url: Of plain HTTP.
        method: Of HTTP.
        body: JSON; empty for none.
        headers: More of them.
    """

    url: str
    method: str = "GET"
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def all_headers(self) -> dict[str, str]:
        """Those that are sent."""
        return dict(self.headers) | ({"Content-Type": "application/json"} if self.body else {})


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it.

    Attributes:
        requests: How many were answered.
        seconds: In how long.
        bytes: Of the answers.
        p50: Seconds that half of the answers took at the most.
        p99: Seconds that all but one in a hundred took at the most.
        errors: Answers that said no, and those that did not come.
    """

    requests: int
    seconds: float
    bytes: int
    p50: float
    p99: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def byte_rate(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds


def put_load(ask: Ask, *, connections: int, seconds: float) -> Load:
    """Send it over all connections at once for a while, from a process of its own: wrk, where it is installed."""
    headers = [part for name, value in ask.all_headers.items() for part in ("-H", f"{name}: {value}")]
    if wrk := shutil.which("wrk"):
        rounded = max(1, round(seconds))
        timing = ["-t1", f"-c{connections}", f"-d{rounded}s", "--timeout", "20s", "-s", str(_SCRIPT)]
        command = [wrk, *timing, *headers, ask.url, "--", ask.method, ask.body]
    else:
        what = {"connections": connections, "seconds": seconds, "method": ask.method, "body": ask.body}
        command = [sys.executable, "-m", _CLIENT, ask.url, json.dumps(what | {"headers": ask.all_headers})]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=_ROOT).stdout  # noqa: S603
    return Load(**json.loads(next(line for line in said.splitlines() if line.startswith("{"))))
