"""Work as it goes on, told on standard error: a bar and its epochs at a terminal, a line for each phase elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.failures import Status
from app.cli.output import err, say

if TYPE_CHECKING:
    from pydantic import BaseModel

    from app.client.downloads import OnBytes
    from app.client.work import Work
    from app.schemas.events import EventRead
    from app.schemas.work import WorkRead

R = TypeVar("R", bound="WorkRead")


def follow(work: "Work[R]", title: str, *, on_event: "Callable[[BaseModel], None] | None" = None) -> None:
    """Show what happens to work until it has succeeded.

    Raises:
        WorkEndedError: If it failed, or was cancelled.
        typer.Exit: If somebody interrupts the following; the work goes on.
    """
    try:
        with _display(title) as show:
            for event in work.events():
                show(event)
                if on_event is not None:
                    on_event(event)
        work.wait()
    except KeyboardInterrupt as interrupt:
        say(f"[yellow]interrupted; {title} goes on: [/yellow]{work.id}")
        raise typer.Exit(Status.INTERRUPTED) from interrupt


@contextmanager
def bytes_moving(title: str) -> "Iterator[OnBytes]":
    """A bar for a download or an upload; nothing where nobody looks at it."""
    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield show


@contextmanager
def _display(title: str) -> "Iterator[Callable[[EventRead], None]]":
    console = err()
    if not console.is_terminal:
        yield lambda event: _tell_line(console, title, event)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[phase]:10}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[epoch]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=1.0, phase="queued", epoch="")

        def show(event: "EventRead") -> None:
            body = event.body
            match event.kind.value:
                case "state":
                    done = 1.0 if body["state"] == "succeeded" else 0.0
                    progress.update(task, completed=done, phase=body["state"], epoch="")
                case "phase":
                    progress.update(task, completed=0.0, phase=body["phase"], epoch="")
                case "progress":
                    progress.update(task, completed=body["progress"], phase=body["phase"])
                case "epoch":
                    progress.update(task, epoch=epoch_text(event))

        yield show


def epoch_text(event: "EventRead") -> str:
    """What an epoch measured, in a line."""
    body = event.body
    told = [f"seed {body['seed']}", f"epoch {body['epoch']}"]
    for name, short in (("train_loss", "loss"), ("validation_loss", "validation")):
        if body.get(name) is not None:
            told.append(f"{short} {body[name]:.3f}")
    if body.get("validation_accuracy") is not None:
        told.append(f"accuracy {100 * body['validation_accuracy']:.1f}%")
    return " ".join(told)


def _tell_line(console: Console, title: str, event: "EventRead") -> None:
    match event.kind.value:
        case "state":
            console.print(f"{title}: {event.body['state']}", soft_wrap=True)
        case "phase":
            console.print(f"{title}: {event.body['phase']}", soft_wrap=True)
