"""Datasets as a shell names them: by name or id, or as a file or folder of this machine, which is uploaded first."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from app.cli.following import bytes_moving, follow
from app.cli.output import say

if TYPE_CHECKING:
    from app.client import Client, Dataset


def looks_like_a_path(text: str) -> bool:
    """Whether this cannot be a dataset's name, or says that it is none."""
    return os.sep in text or text.startswith((".", "~"))


def dataset_named(client: "Client", text: str) -> str:
    """How requests refer to what is meant: the name of a dataset of the service, or of one that is uploaded now.

    A name that the service knows goes before a file of the same name.

    Raises:
        NotUploadableError: If it is neither a dataset nor a file or folder.
        DatasetFailedError: If it cannot be read.
    """
    from app.client import NotFoundError, NotUploadableError

    if not looks_like_a_path(text):
        try:
            return client.datasets.get(text).name
        except NotFoundError as error:
            if not Path(text).exists():
                raise NotUploadableError(
                    f"There is no dataset {text!r}, nor such a file or folder here: see `ot3l datasets list`."
                ) from error
    return bring(client, Path(text).expanduser(), {}).name


def bring(
    client: "Client",
    path: Path,
    settings: dict[str, object],
    *,
    kind: str | None = None,
    wait: bool = True,
) -> "Dataset":
    """Upload a file or folder and register it.

    Raises:
        typer.BadParameter: If there is no such format.
    """
    try:
        with bytes_moving(f"upload {path.name or path}") as on_bytes:
            dataset = client.datasets.upload(path, format=kind, on_bytes=on_bytes, **settings)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--format") from error
    say(f"uploaded {path} as the dataset {dataset.name}")
    if wait:
        follow(dataset, f"inspect {dataset.name}")
    return dataset
