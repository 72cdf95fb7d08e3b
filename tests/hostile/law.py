"""What must hold of whatever is read: a typed error or a success, no path shown, nothing left behind."""

from pathlib import Path

import torchvision.datasets  # noqa: F401 - makes a folder of its own for temporary files

from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.data.unpacking import unpack
from ot3l_core.errors import CoreError
from ot3l_core.names import DatasetFormat
from tests.hostile.seeds import lay_out


def judge(kind, content, folder):
    """Read one file in an empty folder; anything but an error of the core passes through.

    Returns:
        The code of the error that it ended in; None where it was read.
    """
    body = lay_out(kind, content, folder)
    before = set(folder.rglob("*"))
    try:
        if kind == "archive":
            unpack(Path(body["path"]), folder / "into")
        else:
            read_all(body)
    except CoreError as error:
        refusal = error
    else:
        return None
    assert str(folder) not in str(refusal), "a path of the server is shown"
    assert set(folder.rglob("*")) == before, "something is left behind"
    return refusal.code


def read_all(body):
    """Every picture and the digest of what a request registers; how many pictures there are."""
    path = body.get("path") or body.get("root")
    dataset = open_dataset(
        DatasetSpec(
            DatasetFormat(body["format"]),
            Path(path) if path else None,
            dataset=body.get("dataset"),
            annotations=Path(body["annotations"]) if "annotations" in body else None,
            download=body.get("download", False),
            labelled=body.get("labelled", True),
        )
    )
    splits = [split for split in (dataset.pool, dataset.test) if split is not None]
    for split in splits:
        for index in range(len(split)):
            split.images.picture(index)
    assert len(dataset.digest) == 64
    return sum(map(len, splits))
