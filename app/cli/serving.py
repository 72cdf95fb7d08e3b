"""``ot3l serve``."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0: a free one.")] = 8000,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where it keeps everything; default: .ot3l, in production .ot3l-up.")
    ] = None,
    roots: Annotated[str, typer.Option(help="Folders that datasets may be read from, separated like PATH.")] = ".",
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; default: 1, in production 2.")] = None,
    *,
    production: Annotated[
        bool, typer.Option("--production", help="PostgreSQL, Valkey and S3, several processes, no containers.")
    ] = False,
) -> None:
    """Run the whole service on this machine, until Ctrl-C."""
    # What only this command needs; the servers come in packages of their own.
    from app.local import embedded
    from app.local import production as in_production
    from app.local.command import serve as run

    kind = in_production.KIND if production else embedded.KIND
    raise typer.Exit(run(kind, data_dir=data_dir, port=port, roots=roots, n_workers=workers))
