"""``ot3l run`` and ``ot3l select``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.bringing import dataset_named
from app.cli.following import bytes_moving, follow
from app.cli.options import AsJson, Detach, DryRun, Output, Set, connect, settings_of
from app.cli.output import out, print_body, say
from app.cli.shown import show_preview, show_results, show_selection
from ot3l_core.names import ExportFormat, PoolLabels, Strategy

if TYPE_CHECKING:
    from app.client import Job

Target = Annotated[str, typer.Argument(help="A dataset by its name, or a local folder, archive or file to upload.")]
Source = Annotated[str | None, typer.Option(help="What to measure from, likewise; default: the service's own.")]
Budget = Annotated[int | None, typer.Option(min=2, help="Samples to choose.")]
Backbone = Annotated[str | None, typer.Option(help="Which network: `ot3l backbones` lists them.")]
InputSize = Annotated[int | None, typer.Option(help="Side of its input in pixels.")]


def run(
    context: typer.Context,
    target: Target,
    source: Source = None,
    strategy: Annotated[Strategy | None, typer.Option(help="How samples are chosen.")] = None,
    alpha: Annotated[str | None, typer.Option(help="mixed only: a share, several with commas, or auto.")] = None,
    budget: Budget = None,
    backbone: Backbone = None,
    input_size: InputSize = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=20, help="How many runs.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of the head's training, at the most.")] = None,
    fine_tune: Annotated[
        str | None, typer.Option(metavar="BLOCKS", help="Train the backbone's last blocks too, or `all` of it.")
    ] = None,
    export: Annotated[list[ExportFormat] | None, typer.Option(help="Another form of the network; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the job.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    given: Set = None,
    output: Output = None,
    *,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune on the samples that pay, follow it, and bring the checkpoint home."""
    settings = settings_of(
        given,
        strategy=strategy,
        alpha=_alpha(alpha),
        budget=budget,
        backbone=backbone,
        input_size=input_size,
        seeds=list(range(seeds)) if seeds else None,
        training={"epochs": epochs} if epochs else None,
        fine_tune=_blocks(fine_tune),
        exports=export,
        name=name,
        tags=tag,
    )
    client = connect(context)
    settings |= {"target": dataset_named(client, target)}
    if source is not None:
        settings["source"] = dataset_named(client, source)
    if dry_run:
        preview = client.jobs.preview(**settings)
        print_body(preview) if as_json else show_preview(preview)
        return
    _run(client.jobs.create(**settings), output, detach=detach, as_json=as_json)


def select(
    context: typer.Context,
    target: Target,
    source: Source = None,
    strategy: Annotated[Strategy | None, typer.Option(help="How samples are chosen; default: coverage.")] = None,
    budget: Budget = None,
    pool_labels: Annotated[PoolLabels | None, typer.Option(help="What stands for the classes of the pool.")] = None,
    backbone: Backbone = None,
    input_size: InputSize = None,
    given: Set = None,
    output: Output = None,
    *,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Choose the samples that are worth a label; `-o to-label.csv` writes the table to fill in."""
    settings = settings_of(
        given, strategy=strategy, budget=budget, pool_labels=pool_labels, backbone=backbone, input_size=input_size
    )
    client = connect(context)
    settings |= {"target": dataset_named(client, target)}
    if source is not None:
        settings["source"] = dataset_named(client, source)
    if dry_run:
        preview = client.selections.preview(**settings)
        print_body(preview) if as_json else show_preview(preview)
        return
    selection = client.selections.create(**settings)
    if not detach:
        follow(selection, "select")
        if output is not None:
            say(f"wrote {selection.download_artifact('manifest.csv', output)}")
    if as_json:
        print_body(selection.latest)
    elif detach:
        out().print(str(selection.id))
    else:
        show_selection(selection.latest)


def _run(job: "Job", output: Path | None, *, detach: bool, as_json: bool) -> None:
    from app.client import WorkEndedError

    if detach:
        print_body(job.latest) if as_json else out().print(str(job.id))
        return
    try:
        follow(job, job.name or job.latest.strategy.value)
    except WorkEndedError as ended:
        if as_json:
            print_body(ended.work)
        raise
    if output is not None:
        with bytes_moving("checkpoint") as on_bytes:
            path = job.download(output, on_bytes=on_bytes)
        say(f"wrote {path}")
    if as_json:
        print_body(job.latest)
    else:
        show_results(job.result)


def _alpha(text: str | None) -> object:
    if text is None or text == "auto":
        return text
    try:
        several = [float(one) for one in text.split(",")]
    except ValueError as error:
        said = "give a share like 0.5, several like 0,0.5,1, or auto"
        raise typer.BadParameter(said, param_hint="--alpha") from error
    return several if len(several) > 1 else several[0]


def _blocks(text: str | None) -> object:
    if text is None:
        return None
    if text == "all":
        # Nothing chosen: the service's defaults train all of it.
        return {"blocks": None}
    if not text.isdecimal():
        raise typer.BadParameter("give a number of blocks, or `all`", param_hint="--fine-tune")
    return {"blocks": int(text)}
