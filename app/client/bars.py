"""Progress bars for those who wait at a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from app.client.downloads import OnBytes
from app.client.flows import OnProgress
from app.schemas.work import WorkRead


@contextmanager
def progress_bar(title: str, *, console: Console | None = None) -> Iterator[OnProgress]:
    """A bar for ``wait(on_progress=...)``: what it does now, how much of that is done, and for how long it has run."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[phase]:10}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console or Console(stderr=True)) as progress:
        task = progress.add_task(title, total=1.0, phase="queued")

        def show(work: WorkRead) -> None:
            done = 1.0 if work.state.is_terminal else work.progress
            phase = work.state if work.state.is_terminal or work.phase is None else work.phase
            progress.update(task, completed=done, phase=phase.value)

        yield show


@contextmanager
def bytes_bar(title: str, *, console: Console | None = None) -> Iterator[OnBytes]:
    """A bar for downloads and uploads."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console or Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield show
