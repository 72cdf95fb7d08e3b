"""Objects cut from photographs by their COCO annotations."""

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np

from ot3l_core.data.archives import is_writable
from ot3l_core.data.images import EncodedImages, ImageDataset, ImageSplit
from ot3l_core.data.limits import MAX_PIXELS, refuse_large_description, refuse_too_many
from ot3l_core.data.readers.folder import read_image_file, require_file, require_folder
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, UnsafeDataError

Record: TypeAlias = Mapping[str, object]
Box: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Photograph:
    file: str
    width: float
    height: float


@dataclass(frozen=True, slots=True, order=True)
class _Object:
    photograph: int
    annotation: int
    category: int
    box: Box


def open_coco(spec: DatasetSpec) -> ImageDataset:
    """Read one picture per annotated object.

    Boxes are clipped to their photograph and widened to whole pixels. Crowds and boxes of less than one pixel a side
    are left out. Objects of one photograph may come to lie in different splits.

    Raises:
        DatasetNotFoundError: If the annotations or the folder are missing.
        DatasetLayoutError: If the annotations are not of COCO's detection layout.
        UnsafeDataError: If a file name leads out of the folder.
    """
    root = require_folder(spec.required_path)
    content = _load(require_file(spec.required_annotations, field="annotations"))
    try:
        photographs = {_integer(record, "id"): _photograph(record) for record in _records(content, "images")}
        names = {_integer(record, "id"): _string(record, "name") for record in _records(content, "categories")}
        found = [_object(record, photographs) for record in _records(content, "annotations")]
    except _MalformedError as error:
        raise DatasetLayoutError(f"no COCO detection annotations: {error}", field="annotations") from error
    refuse_too_many("the list of annotations", len(found))
    objects = sorted(item for item in found if item is not None)
    label_of = {category: label for label, category in enumerate(sorted(names))}
    unknown = {item.category for item in objects} - label_of.keys()
    if unknown or len(set(names.values())) < len(names):
        fault = f"category {min(unknown)} is not among the categories" if unknown else "two categories share a name"
        raise DatasetLayoutError(f"no consistent COCO annotations: {fault}", field="annotations")
    classes = tuple(names[category] for category in sorted(names))
    files = [photographs[item.photograph].file for item in objects]
    ids = tuple(f"{item.photograph}/{item.annotation}" for item in objects)
    boxes = np.array([item.box for item in objects], dtype=np.int64).reshape(-1, 4)
    images = EncodedImages(lambda index: read_image_file(root, files[index]), ids, boxes)
    labels = np.array([label_of[item.category] for item in objects], dtype=np.int64)
    return ImageDataset(classes, ImageSplit(images, labels, ids, tuple(files)), None)


class _MalformedError(Exception):
    """A record is not as COCO describes it."""


def _load(path: Path) -> Record:
    try:
        refuse_large_description(path.name, path.stat().st_size, field="annotations")
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        raise DatasetLayoutError(f"{path.name!r} is no readable JSON file", field="annotations") from error
    if not isinstance(content, dict):
        raise DatasetLayoutError(
            f"{path.name!r} must hold one object with images, annotations and categories", field="annotations"
        )
    return content


def _records(content: Record, key: str) -> Sequence[Record]:
    records = content.get(key)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise _MalformedError(f"{key!r} must be a list of objects")
    return records


def _integer(record: Record, key: str) -> int:
    value = record.get(key)
    if not isinstance(value, int) or abs(value) >= 2**63:
        raise _MalformedError(f"{key!r} must be an integer of 64 bits: got {_shown(value)}")
    return value


def _string(record: Record, key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise _MalformedError(f"{key!r} must be a string: got {_shown(value)}")
    return value


def _shown(value: object) -> str:
    return reprlib.repr(value)


def _photograph(record: Record) -> _Photograph:
    file = PurePosixPath(_string(record, "file_name"))
    if file.is_absolute() or ".." in file.parts:
        raise UnsafeDataError(f"the annotations name {str(file)!r}, which leads out of the folder", field="annotations")
    if not file.parts or not is_writable(str(file)):
        raise _MalformedError(f"'file_name' must be short text without control characters: got {_shown(str(file))}")
    width, height = _integer(record, "width"), _integer(record, "height")
    if max(width, height) > MAX_PIXELS:
        raise _MalformedError(f"{str(file)!r} cannot have {width} x {height} pixels")
    return _Photograph(str(file), width, height)


def _object(record: Record, photographs: Mapping[int, _Photograph]) -> _Object | None:
    """The object, or None where it is to be left out."""
    key, photo = _integer(record, "id"), _integer(record, "image_id")
    if photo not in photographs:
        raise _MalformedError(f"annotation {key} is of image {photo}, which is not among the images")
    match record.get("bbox"):
        case [(int() | float()) as x, (int() | float()) as y, (int() | float()) as w, (int() | float()) as h] if (
            not any(abs(part) >= 2**63 for part in (x, y, w, h))
        ):
            box = _clipped((x, y, w, h), photographs[photo])
        case other:
            raise _MalformedError(f"'bbox' of annotation {key} must be [x, y, width, height]: got {_shown(other)}")
    if box is None or record.get("iscrowd"):
        return None
    return _Object(photo, key, _integer(record, "category_id"), box)


def _clipped(bbox: tuple[float, float, float, float], photograph: _Photograph) -> Box | None:
    x, y, w, h = bbox
    left, right = max(x, 0), min(x + w, photograph.width)
    upper, lower = max(y, 0), min(y + h, photograph.height)
    # Written so that NaN, which compares false, is left out too.
    if not (right - left >= 1 and lower - upper >= 1):
        return None
    return math.floor(left), math.floor(upper), math.ceil(right), math.ceil(lower)
