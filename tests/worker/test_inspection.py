"""Looking through a dataset: every image once, and small copies of some."""

import numpy as np
import pytest

from ot3l_core.data.images import ImageDataset, ImageSplit
from ot3l_core.errors import CorruptImageError
from ot3l_core.progress import ignore_progress
from tests.generators.images import Colours, colour_of
from worker.galleries import pick_from_dataset
from worker.tasks.inspect_dataset import decode_all


def split_of(count, name, broken=()):
    labels = np.arange(count, dtype=np.int64) % 2
    return ImageSplit(Colours(count, broken), labels, tuple(f"{name}/{place}" for place in range(count)))


def dataset(n_pool, n_test, **broken):
    test = split_of(n_test, "test", broken.get("test", ())) if n_test else None
    return ImageDataset(("cat", "dog"), split_of(n_pool, "pool", broken.get("pool", ())), test)


@pytest.mark.parametrize(("n_pool", "n_test"), [(70, 20), (9, 30), (50, 0)])
def test_every_image_is_decoded_once_and_some_are_kept(n_pool, n_test):
    made = dataset(n_pool, n_test)
    picks = pick_from_dataset(made)
    shares = []
    shown = decode_all(made, picks, shares.append)
    assert [about for about, _ in shown] == [pick.about for pick in picks]
    for pick, (_, small) in zip(picks, shown, strict=True):
        assert small.size == (64, 64)
        assert small.getpixel((32, 32)) == colour_of(pick.index)
    for split in filter(None, (made.pool, made.test)):
        assert split.images.asked == dict.fromkeys(range(len(split)), 1)
    assert shares == [done / (n_pool + n_test) for done in range(1, n_pool + n_test + 1)]


@pytest.mark.parametrize("split", ["pool", "test"])
def test_a_damaged_image_is_found_whether_it_is_shown_or_not(split):
    for place in (0, 17, 49):
        made = dataset(50, 50, **{split: {place}})
        with pytest.raises(CorruptImageError):
            decode_all(made, pick_from_dataset(made), ignore_progress)
