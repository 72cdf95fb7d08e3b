"""``ot3l distance``."""

from typing import Annotated

import typer

from app.cli.bringing import dataset_named
from app.cli.following import follow
from app.cli.options import AsJson, Detach, DryRun, Set, connect, settings_of
from app.cli.output import out, print_body
from app.cli.shown import show_distance, show_preview
from ot3l_core.names import LabelDistanceMethod


def distance(
    context: typer.Context,
    datasets: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE TARGET...", help="Two datasets, or more for all distances between them."),
    ],
    method: Annotated[LabelDistanceMethod | None, typer.Option(help="Distance between two classes.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Whose features are compared.")] = None,
    max_samples: Annotated[int | None, typer.Option(help="Samples of each dataset.")] = None,
    given: Set = None,
    *,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Measure how far datasets lie from each other; each by its name, or a local file or folder."""
    if len(datasets) < 2:
        raise typer.BadParameter("name a source and a target", param_hint="SOURCE TARGET")
    client = connect(context)
    names = [dataset_named(client, text) for text in datasets]
    between = {"source": names[0], "target": names[1]} if len(names) == 2 else {"datasets": names}
    settings = settings_of(given, method=method, backbone=backbone, max_samples=max_samples, **between)
    if dry_run:
        preview = client.distances.preview(**settings)
        print_body(preview) if as_json else show_preview(preview)
        return
    asked = client.distances.create(**settings)
    if not detach:
        follow(asked, "measure")
    if as_json:
        print_body(asked.latest)
    elif detach:
        out().print(str(asked.id))
    else:
        show_distance(asked.result)
