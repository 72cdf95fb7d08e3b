"""Galleries: which samples of a dataset or a selection are shown, and their thumbnails in one picture."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from app.schemas.galleries import COLUMNS, GALLERY_JSON, GALLERY_WEBP, MOST_IMAGES, SIDE, Gallery, GalleryImage, Split
from app.schemas.selections import ManifestSample
from ot3l_core.data.ahead import compute_ahead
from ot3l_core.data.images import ImageDataset, ImageSplit, Indices
from ot3l_core.data.thumbnails import contact_sheet, thumbnail
from ot3l_core.progress import OnProgress
from ot3l_core.selection import Selection
from ot3l_core.selection.draws import even_quotas

log = logging.getLogger(__name__)

_EACH_OF_A_DATASET: Final = 12
_EACH_OF_A_SELECTION: Final = 40
_MOST_UNLABELLED: Final = 200
_QUALITY: Final = 80
# Equal data is shown in an equal way, whoever asks and however often.
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Pick:
    """A sample of a dataset that is to be shown.

    Attributes:
        split: Where it is.
        index: Its place there.
        about: What the gallery says of it.
    """

    split: Split
    index: int
    about: GalleryImage


def pick_from_dataset(dataset: ImageDataset) -> list[Pick]:
    """Which samples of a dataset are shown: some of every class, those of the pool first; evenly spread."""
    pool, test = dataset.pool, dataset.test
    if not dataset.labelled:
        return [_pick("pool", pool, index, None) for index in _spread(_all(pool), _MOST_UNLABELLED)]
    of_pool = _by_class(pool, dataset.classes)
    of_test = _by_class(test, dataset.classes) if test is not None else [_NONE] * len(dataset.classes)
    there = [len(own) + len(held_out) for own, held_out in zip(of_pool, of_test, strict=True)]
    picks = []
    for label, quota in enumerate(_quotas(there, _EACH_OF_A_DATASET)):
        name = dataset.classes[label]
        own = _spread(of_pool[label], quota)
        picks += [_pick("pool", pool, index, name) for index in own]
        if test is not None:
            picks += [_pick("test", test, index, name) for index in _spread(of_test[label], quota - len(own))]
    return picks


def best_of(selection: Selection, pool: ImageSplit, classes: Sequence[str]) -> tuple[ImageSplit, list[GalleryImage]]:
    """Which of the selected samples are shown: of every class the best.

    Args:
        selection: What was selected.
        pool: What it was selected from.
        classes: Names of its labels.

    Returns:
        The samples, class by class and the best first, and what the gallery says of each.
    """
    indices = selection.indices.numpy()
    scores: list[float | None] = [None] * len(indices) if selection.scores is None else selection.scores.tolist()
    # The best of those that were taken for being far are the farthest; of those for being near, the nearest.
    rank = [
        (reason, (score or 0.0) if reason == "near" else -(score or 0.0))
        for reason, score in zip(selection.reasons, scores, strict=True)
    ]
    members = _by_class(pool.take(indices), classes)
    places = [
        place
        for own, quota in zip(members, _quotas(list(map(len, members)), _EACH_OF_A_SELECTION), strict=True)
        for place in sorted(own.tolist(), key=rank.__getitem__)[:quota]
    ]
    about = [
        GalleryImage(
            id=pool.sample_ids[index],
            class_name=classes[pool.labels[index]],
            split="pool",
            score=_finite(scores[place]),
            reason=selection.reasons[place],
        )
        for place, index in ((place, int(indices[place])) for place in places)
    ]
    return pool.take(indices[places]), about


def spread_over(samples: Sequence[ManifestSample], chosen: ImageSplit) -> tuple[ImageSplit, list[GalleryImage]]:
    """Which samples of a manifest are shown: all, or as many as there may be, evenly spread; in its order.

    Args:
        samples: The manifest's.
        chosen: Their images, in the same order.
    """
    places = _spread(_all(chosen), MOST_IMAGES)
    about = [
        GalleryImage(
            id=sample.id, class_name=sample.group, split="pool", score=_finite(sample.score), reason=sample.reason
        )
        for sample in (samples[place] for place in places)
    ]
    return chosen.take(np.array(places, dtype=np.int64)), about


def decode_all(
    dataset: ImageDataset, picks: Sequence[Pick], on_progress: OnProgress
) -> list[tuple[GalleryImage, Image.Image]]:
    """Find damaged images now, and not in the middle of a job; and keep small copies of some.

    Args:
        dataset: Every image of it is decoded once.
        picks: Which to keep.
        on_progress: Called after each image.

    Returns:
        What was kept, in the order of the picks, without what has no thumbnail.

    Raises:
        DataError: If an image cannot be read or decoded.
    """
    splits: dict[Split, ImageSplit] = {"pool": dataset.pool}
    if dataset.test is not None:
        splits["test"] = dataset.test
    wanted = {(pick.split, pick.index) for pick in picks}
    total, done = sum(len(split) for split in splits.values()), 0
    small: dict[tuple[Split, int], Image.Image | None] = {}
    for name, split in splits.items():
        for index in range(len(split)):
            picture = split.images.picture(index)
            if (name, index) in wanted:
                small[name, index] = shrink(picture, split.sample_ids[index])
            done += 1
            # After each one: a few dozen of the largest take longer than somebody who cancels should wait.
            on_progress(done / total)
    made = ((pick.about, small[pick.split, pick.index]) for pick in picks)
    return [(about, shown) for about, shown in made if shown is not None]


def shrink(picture: Image.Image, sample_id: str) -> Image.Image | None:
    """A thumbnail; None where it cannot be made, for that is no reason to fail."""
    try:
        return thumbnail(picture, SIDE)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is only this thumbnail's
        _tell_missing(sample_id, error)
        return None


def draw_gallery(
    folder: Path, images: ImageSplit, about: Sequence[GalleryImage], on_progress: OnProgress
) -> list[Path]:
    """Decode images and make a gallery of them; those that cannot be shown are left out.

    Args:
        folder: Where to write it.
        images: What to show.
        about: What the gallery says of each.
        on_progress: Called after each.
    """
    shown = []
    made = compute_ahead(partial(_decode, images), range(len(images)))
    for done, (told, small) in enumerate(zip(about, made, strict=True), start=1):
        if small is not None:
            shown.append((told, small))
        on_progress(done / len(images))
    return write_gallery(folder, shown)


def write_gallery(folder: Path, shown: Sequence[tuple[GalleryImage, Image.Image]]) -> list[Path]:
    """The files of a gallery; none where nothing is to be shown."""
    if not shown:
        return []
    sheet, told = folder / GALLERY_WEBP, folder / GALLERY_JSON
    contact_sheet([small for _, small in shown], side=SIDE, columns=COLUMNS).save(sheet, "WEBP", quality=_QUALITY)
    told.write_text(Gallery(images=[about for about, _ in shown]).model_dump_json(), encoding="utf-8")
    return [sheet, told]


def _decode(images: ImageSplit, index: int) -> Image.Image | None:
    sample_id = images.sample_ids[index]
    try:
        picture = images.images.picture(index)
    except Exception as error:  # noqa: BLE001 - the work itself has read what it needed
        _tell_missing(sample_id, error)
        return None
    return shrink(picture, sample_id)


def _tell_missing(sample_id: str, error: Exception) -> None:
    # The error's own words may hold a path of this machine.
    log.warning("no thumbnail of %r: %s", sample_id, type(error).__name__)


def _pick(split: Split, images: ImageSplit, index: int, name: str | None) -> Pick:
    about = GalleryImage(id=images.sample_ids[index], class_name=name, split=split, score=None, reason=None)
    return Pick(split, index, about)


_NONE: Final[Indices] = np.zeros(0, dtype=np.int64)


def _all(images: ImageSplit) -> Indices:
    return np.arange(len(images), dtype=np.int64)


def _by_class(images: ImageSplit, classes: Sequence[str]) -> list[Indices]:
    """The places of each class's samples, in their order."""
    order = np.argsort(images.labels, kind="stable").astype(np.int64)
    return np.split(order, np.cumsum(np.bincount(images.labels, minlength=len(classes)))[:-1])


def _quotas(there: Sequence[int], each: int) -> list[int]:
    """How many of each class are shown: so many, or fewer of each where these would be too many."""
    capped = np.repeat(np.arange(len(there)), np.minimum(there, each))
    quotas: list[int] = even_quotas(capped, len(there), MOST_IMAGES, _SEED).tolist()
    return quotas


def _spread(places: Indices, count: int) -> list[int]:
    """At most so many of them, in their order and evenly spread."""
    count = min(count, len(places))
    spread: list[int] = [int(places[(2 * step + 1) * len(places) // (2 * count)]) for step in range(count)]
    return spread


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
