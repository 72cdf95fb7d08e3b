"""``ot3l jobs`` and ``ot3l download``."""

import datetime as dt
import itertools
from typing import Annotated

import typer

from app.cli.following import bytes_moving, epoch_text
from app.cli.options import AsJson, AsLines, Limit, Output, connect
from app.cli.output import out, print_bodies, print_body, print_line, print_table, say, visible
from app.cli.shown import show_job
from app.states import EventKind, WorkState
from ot3l_core.names import Strategy

app = typer.Typer(no_args_is_help=True, help="What is fine-tuned.")
Id = Annotated[str, typer.Argument(metavar="JOB", help="Its id.")]
CHECKPOINT = "checkpoint.safetensors"


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[list[WorkState] | None, typer.Option(help="Any of these; repeatable.")] = None,
    target: Annotated[str | None, typer.Option(help="Only those that learn this dataset.")] = None,
    strategy: Annotated[Strategy | None, typer.Option(help="Only with this strategy.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag; repeatable.")] = None,
    limit: Limit = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    query = {"state": state, "target": target, "strategy": strategy, "tag": tag, "limit": min(limit, 200)}
    found = list(itertools.islice(connect(context).jobs.list(**query), limit))
    if as_json:
        print_bodies(found)
        return
    rows = [(job.id, job.state.value, job.target, job.strategy.value, job.name) for job in found]
    print_table(("id", "state", "target", "strategy", "name"), rows)


@app.command()
def show(context: typer.Context, job: Id, *, as_json: AsJson = False) -> None:
    """Show a job and its results."""
    found = connect(context).jobs.get(job)
    if as_json:
        print_body(found.latest)
    else:
        show_job(found.latest)


@app.command()
def logs(
    context: typer.Context,
    job: Id,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends; epochs too.")] = False,
    as_json: AsLines = False,
) -> None:
    """Show what was logged, or everything that happens as it happens."""
    found = connect(context).jobs.get(job)
    if not follow:
        for line in found.logs():
            if as_json:
                print_line(line)
            else:
                _tell(line.at, f"{line.level} {line.message}")
        return
    for event in found.events():
        if as_json:
            print_line(event)
            continue
        match event.kind:
            case EventKind.LOG:
                said = f"{event.body['level']} {event.body['message']}"
            case EventKind.EPOCH:
                said = epoch_text(event)
            case EventKind.PROGRESS:
                continue
            case _:
                said = str(event.body[event.kind.value])
        _tell(event.at, said)


def _tell(moment: dt.datetime, text: str) -> None:
    out().print(f"{moment.astimezone():%H:%M:%S} {visible(text)}", markup=False, soft_wrap=True)


@app.command()
def cancel(context: typer.Context, job: Id, *, as_json: AsJson = False) -> None:
    """Stop a job; what runs stops within seconds."""
    found = connect(context).jobs.get(job).cancel()
    print_body(found.latest) if as_json else say(f"{found.id}: {found.state.value}, to be cancelled")


@app.command()
def retry(context: typer.Context, job: Id, *, as_json: AsJson = False) -> None:
    """Do a job again that failed or was cancelled, under the same id."""
    found = connect(context).jobs.get(job).retry()
    print_body(found.latest) if as_json else say(f"{found.id}: {found.state.value}")


@app.command()
def delete(context: typer.Context, job: Id, *, as_json: AsJson = False) -> None:
    """Delete a job that has ended, with its files."""
    found = connect(context).jobs.get(job)
    found.delete()
    print_body(found.latest) if as_json else say(f"deleted {found.id}")


def download(
    context: typer.Context,
    job: Id,
    artifact: Annotated[str, typer.Argument(help="Which of its files; default: the checkpoint.")] = CHECKPOINT,
    output: Output = None,
    *,
    list_files: Annotated[bool, typer.Option("--list", help="Only say which files there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a file of a job here; interrupted, the same command goes on, and the checksum is compared."""
    found = connect(context).jobs.get(job)
    files = {file.name: file for file in found.artifacts()}
    if list_files:
        if as_json:
            print_bodies(files.values())
        else:
            print_table(("name", "bytes", "sha256"), [(one.name, one.size, one.sha256) for one in files.values()])
        return
    with bytes_moving(artifact) as on_bytes:
        path = found.download_artifact(artifact, output or artifact, on_bytes=on_bytes)
    if as_json:
        print_body(files[artifact])
    else:
        say(f"wrote {path} ({files[artifact].size:,} bytes, sha256 {files[artifact].sha256})")


def backbones(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the networks that a job can start from."""
    found = connect(context).backbones()
    if as_json:
        print_body(found)
        return
    rows = [(one.name, one.input_size, one.feature_dim, one.source.value) for one in found.items]
    print_table(("name", "input", "features", "weights from"), rows, right=("input", "features"))
