"""The few lines that a client of the service needs: ask for work, then poll until it has ended."""

import time
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

console = Console()


class ServiceError(RuntimeError):
    """The service refused or failed, or answered what it should not."""


def post(client: httpx2.Client, path: str, body: dict[str, Any]) -> str:
    """Ask for work; returns where to watch it."""
    reply = client.post(path, json=body)
    if reply.is_error:
        is_problem = reply.headers.get("content-type") == "application/problem+json"
        raise ServiceError(f"POST {path}: {reply.json()['detail'] if is_problem else reply.text}")
    return str(reply.headers["Location"])


def follow(client: httpx2.Client, location: str, title: str) -> dict[str, Any]:
    """Poll until the work has ended, with a bar."""
    columns = (
        TextColumn("{task.description:28}"),
        BarColumn(),
        TextColumn("{task.fields[phase]:12}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=1.0, phase="queued")
        while True:
            work: dict[str, Any] = client.get(location).raise_for_status().json()
            progress.update(task, completed=work["progress"], phase=work["phase"] or work["state"])
            if work["state"] == "succeeded":
                progress.update(task, completed=1.0, phase="done")
                return work
            if work["state"] in {"failed", "cancelled"}:
                why = f": {work['error']['message']}" if work["error"] else ""
                raise ServiceError(f"{title}: {work['state']}{why}")
            time.sleep(0.3)
