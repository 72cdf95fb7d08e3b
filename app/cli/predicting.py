"""``ot3l predict``."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.failures import Status
from app.cli.options import AsJson
from app.cli.output import percent, print_json, print_table, say_error


def predict(
    checkpoint: Annotated[Path, typer.Argument(help="A file of `ot3l download`.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many classes to tell of each.")] = 1,
    *,
    as_json: AsJson = False,
) -> None:
    """Classify images with a downloaded checkpoint, here, without any service."""
    # Torch takes seconds to import, and no other command but `doctor` does.
    from app.cli.computing import classify, images_below

    found = list(classify(checkpoint, images_below(images), top=top))
    for one in found:
        if one.error is not None:
            say_error(one.error)
    if as_json:
        print_json(
            [
                {
                    "image": str(one.image),
                    "classes": [{"name": name, "probability": share} for name, share in one.classes],
                    "error": one.error,
                }
                for one in found
            ]
        )
    else:
        rows = [
            (one.image if not place else "", name, percent(share))
            for one in found
            for place, (name, share) in enumerate(one.classes)
        ]
        print_table(("image", "class", "%"), rows, right=("%",))
    if any(one.error is not None for one in found):
        raise typer.Exit(Status.FAILED)
