"""The data sets of a run: those of the paper, and any other that lies where the user points."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.paper.catalogue import SOURCE, TARGETS, Found, look
from ot3l_core.data.decoding import IMAGE_SUFFIXES
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetNotFoundError
from ot3l_core.names import DatasetFormat

DEVELOPMENT = frozenset({"fashion-mnist", "mnist", "cifar10", "cifar100"})
"""The data sets on which strategies were developed and their settings chosen."""

_FORMATS = {".npz": DatasetFormat.NPZ, ".zip": DatasetFormat.ZIP}
# Fewer would leave less than two to test on.
_LEAST_CLASS = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """A data set to choose from.

    Attributes:
        name: What ``--dataset`` calls it.
        title: What tables call it.
        spec: How it is read.
    """

    name: str
    title: str
    spec: DatasetSpec

    @property
    def in_development(self) -> bool:
        """Whether strategies were developed on it."""
        return self.name in DEVELOPMENT


def find_subjects(data: Path) -> list[Subject]:
    """All data sets below a folder, the paper's first; or the one that ``data`` itself is.

    The source is none of them: its pictures are those that the backbone was trained on.

    Raises:
        DatasetNotFoundError: If nothing is there.
    """
    if not data.exists():
        raise DatasetNotFoundError(f"there is nothing at {data.name!r}: give a folder of data sets, or one data set")
    if data.is_file() or _is_image_folder(data):
        return list(_others([data]))
    known = [_as_subject(found, data) for found in look(data, TARGETS)[0]]
    source = find_source(data)
    taken = {subject.spec.required_path for subject in known} | ({source.required_path} if source else set())
    entries = (entry for entry in sorted(data.iterdir()) if entry not in taken and not entry.name.startswith("."))
    return [*known, *_others(entries)]


def find_source(data: Path) -> DatasetSpec | None:
    """ImageNet, or a part of it, where a folder holds one."""
    found, _ = look(data, [SOURCE])
    return _spec(found[0], data) if found else None


def _as_subject(found: Found, data: Path) -> Subject:
    return Subject(found.data_set.name, found.data_set.title, _spec(found, data))


def _spec(found: Found, data: Path) -> DatasetSpec:
    body = found.body
    return DatasetSpec(
        DatasetFormat(str(body["format"])),
        data / str(body.get("path") or body["root"]),
        str(body["dataset"]) if "dataset" in body else None,
        annotations=data / str(body["annotations"]) if "annotations" in body else None,
        label_column=str(body["label_column"]) if "label_column" in body else None,
        test_fraction=float(body.get("test_fraction", 0.2)),
        min_class_size=int(body.get("min_class_size", 1)),
    )


def _others(entries: Iterator[Path] | list[Path]) -> Iterator[Subject]:
    for entry in entries:
        form = DatasetFormat.IMAGE_FOLDER if _is_image_folder(entry) else _FORMATS.get(entry.suffix.lower())
        if form is not None:
            name = entry.resolve().stem
            yield Subject(name, name, DatasetSpec(form, entry, min_class_size=_LEAST_CLASS))


def _is_image_folder(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return _n_class_folders(folder) > 1 or _n_class_folders(folder / "train") > 1


def _n_class_folders(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(any(_is_picture(file) for file in entry.iterdir()) for entry in folder.iterdir() if entry.is_dir())


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
