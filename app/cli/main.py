"""``ot3l``: the commands together, and what becomes of their errors."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli import datasets, jobs, keys
from app.cli.distances import distance
from app.cli.doctor import doctor
from app.cli.failures import Status, explain
from app.cli.jobs import backbones, download
from app.cli.options import Service
from app.cli.output import out, say
from app.cli.predicting import predict
from app.cli.running import run, select
from app.cli.serving import serve


class Commands(TyperGroup):
    """All commands; their errors end in a few lines and a status, never in a stack trace."""

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401 - its class is no public name of typer
        """Run the command that was asked for.

        Raises:
            typer.Exit: With the status of what went wrong.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            say("[yellow]interrupted[/yellow]")
            raise typer.Exit(Status.INTERRUPTED) from interrupt
        except BrokenPipeError:
            # Whoever read the output has seen enough.
            raise
        except Exception as error:
            status = explain(error)
            if status is None:
                raise
            raise typer.Exit(status) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 failed or refused, 2 the command line makes no sense, 3 no service answers, 130 "
    "interrupted.",
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it
    if asked:
        try:
            out().print(f"ot3l {version('ot3l')}")
        except PackageNotFoundError:
            out().print("ot3l, not installed")
        raise typer.Exit


@app.callback()
def ot3l(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(envvar="OT3L_URL", help="Where the service is; default: http://127.0.0.1:8000.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="OT3L_API_KEY", help="By what right it is asked.")] = None,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Targeted transfer learning: fine-tune on the samples that pay.

    `ot3l serve` starts a service here; `ot3l run FOLDER` uploads images, fine-tunes on the best of them, and shows how
    well the network does.
    """
    context.obj = Service(url, key)


app.command()(serve)
app.add_typer(datasets.app, name="datasets")
app.command()(distance)
app.command()(run)
app.command()(select)
app.add_typer(jobs.app, name="jobs")
app.command()(download)
app.command()(predict)
app.command()(backbones)
app.add_typer(keys.app, name="keys")
app.command()(doctor)


def main() -> None:
    """Run the command line."""
    app(prog_name="ot3l")
