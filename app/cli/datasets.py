"""``ot3l datasets``."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.bringing import bring
from app.cli.following import follow
from app.cli.options import AsJson, Detach, Limit, Set, connect, settings_of
from app.cli.output import print_bodies, print_body, print_table, say
from app.cli.shown import show_dataset
from ot3l_core.names import BuiltinDataset, DatasetFormat

if TYPE_CHECKING:
    from app.client import Client, Dataset

app = typer.Typer(no_args_is_help=True, help="Images that the service knows.")
Name = Annotated[str, typer.Argument(help="Name or id.")]


@app.command()
def add(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A file or folder of this machine, a built-in, or a path on the server.")],
    name: Annotated[str | None, typer.Option(help="How requests will refer to it.")] = None,
    kind: Annotated[DatasetFormat | None, typer.Option("--format", help="Default: by the name of the file.")] = None,
    *,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="One pool of images without classes.")] = False,
    on_server: Annotated[bool, typer.Option("--on-server", help="The path is the server's: nothing is sent.")] = False,
    tag: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    given: Set = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Register images: upload a folder, an archive or a file, or name what the service has already."""
    client = connect(context)
    settings = settings_of(given, name=name, tags=tag, labelled=False if unlabelled else None)
    if not on_server and kind is not DatasetFormat.BUILTIN and (Path(what).exists() or what not in set(BuiltinDataset)):
        dataset = bring(client, Path(what).expanduser(), settings, kind=kind, wait=not detach)
    else:
        dataset = _register(client, what, kind, settings)
        if not detach:
            follow(dataset, f"inspect {dataset.name}")
    if as_json:
        print_body(dataset.latest)
    else:
        show_dataset(dataset.latest)


@app.command("list")
def list_(
    context: typer.Context,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag; repeatable.")] = None,
    limit: Limit = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List datasets, newest first."""
    found = list(itertools.islice(connect(context).datasets.list(tag=tag, limit=min(limit, 200)), limit))
    if as_json:
        print_bodies(found)
        return
    rows = [
        (
            one.name,
            one.state.value,
            one.format.value,
            len(one.result.classes) if one.result else None,
            one.result.n_pool if one.result else None,
            one.result.n_test if one.result else None,
            one.created_at,
        )
        for one in found
    ]
    headings = ("name", "state", "format", "classes", "pool", "test", "created")
    print_table(headings, rows, right=("classes", "pool", "test"))


@app.command()
def show(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Show a dataset and its classes."""
    dataset = connect(context).datasets.get(name)
    if as_json:
        print_body(dataset.latest)
    else:
        show_dataset(dataset.latest)


@app.command()
def delete(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Delete a dataset that nothing refers to; with the last one that uses it, an upload goes too."""
    dataset = connect(context).datasets.get(name)
    dataset.delete()
    if as_json:
        print_body(dataset.latest)
    else:
        say(f"deleted {dataset.name}")


def _register(client: "Client", what: str, kind: DatasetFormat | None, settings: dict[str, object]) -> "Dataset":
    """Have the service read what it can reach."""
    match kind or (DatasetFormat.BUILTIN if what in set(BuiltinDataset) else None):
        case DatasetFormat.BUILTIN:
            return client.datasets.create(format=DatasetFormat.BUILTIN, dataset=what, **settings)
        case DatasetFormat.TORCHVISION:
            return client.datasets.create(**{"format": DatasetFormat.TORCHVISION, "dataset": what, **settings})
        case None:
            raise typer.BadParameter("name the format of a path on the server", param_hint="--format")
        case other:
            return client.datasets.create(format=other, path=what, **settings)
