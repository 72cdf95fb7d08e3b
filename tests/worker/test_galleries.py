"""Which samples a gallery shows, and that its picture shows what its list says."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.schemas.galleries import Gallery
from app.schemas.selections import ManifestSample
from ot3l_core.data.images import UNLABELLED, ArrayImages, ImageDataset, ImageSplit, unlabelled_dataset
from ot3l_core.errors import Cancelled, CorruptImageError
from ot3l_core.progress import ignore_progress
from ot3l_core.selection import Selection
from tests.generators.images import Colours, colour_of
from worker.galleries import best_of, decode_all, draw_gallery, pick_from_dataset, shrink, spread_over, write_gallery


def split_of(labels, *, prefix="s", broken=()):
    ids = tuple(f"{prefix}/{place}" for place in range(len(labels)))
    return ImageSplit(Colours(len(labels), broken), np.array(labels, dtype=np.int64), ids)


def dataset_of(pool, test=None, broken=None):
    """Classes with so many samples each, mixed with each other."""

    def split(counts, prefix):
        labels = np.repeat(np.arange(len(counts)), counts)
        mixed = np.random.default_rng(3).permutation(labels)
        return split_of(mixed, prefix=prefix, broken=(broken or {}).get(prefix, ()))

    classes = tuple(f"class {label}" for label in range(len(pool)))
    return ImageDataset(classes, split(pool, "pool"), None if test is None else split(test, "test"))


def colours_in(folder, count):
    """The middle of every cell of a sheet."""
    with Image.open(folder / "gallery.webp") as sheet:
        assert (sheet.format, sheet.mode, sheet.width) == ("WEBP", "RGB", 25 * 64)
        assert sheet.height == 64 * -(-count // 25)
        return [sheet.getpixel((place % 25 * 64 + 32, place // 25 * 64 + 32)) for place in range(count)]


def told_in(folder):
    text = (folder / "gallery.json").read_text(encoding="utf-8")
    assert Gallery.model_validate_json(text).model_dump_json() == text
    return json.loads(text)


counts = st.lists(st.integers(0, 30), min_size=1, max_size=130)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), pool=counts)
def test_of_every_class_as_many_are_shown_as_there_is_room_for(data, pool):
    test = data.draw(st.none() | st.lists(st.integers(0, 9), min_size=len(pool), max_size=len(pool)))
    dataset = dataset_of(pool, test)
    picks = pick_from_dataset(dataset)
    assert len({(pick.split, pick.index) for pick in picks}) == len(picks)
    there = {"pool": pool, "test": test or [0] * len(pool)}
    shown = {name: Counter(pick.about.class_name for pick in picks if pick.split == name) for name in there}
    wanted = [min(12, sum(both)) for both in zip(*there.values(), strict=True)]
    assert len(picks) == min(1000, sum(wanted))
    found = [shown["pool"][name] + shown["test"][name] for name in dataset.classes]
    # No class has two more than another that has some left.
    assert all(mine >= max(found) - 1 for mine, most in zip(found, wanted, strict=True) if mine < most)
    for name, of_pool in zip(dataset.classes, pool, strict=True):
        assert shown["test"][name] == 0 or shown["pool"][name] == of_pool
    for pick in picks:
        split = dataset.pool if pick.split == "pool" else dataset.test
        assert pick.about.id == split.sample_ids[pick.index]
        assert pick.about.class_name == dataset.classes[split.labels[pick.index]]
        assert (pick.about.split, pick.about.score, pick.about.reason) == (pick.split, None, None)
    order = [(dataset.classes.index(pick.about.class_name), pick.split, pick.index) for pick in picks]
    assert order == sorted(order)
    assert pick_from_dataset(dataset_of(pool, test)) == picks


def test_more_classes_than_there_is_room_for_are_shown_in_part():
    picks = pick_from_dataset(dataset_of([2] * 1500))
    assert len({pick.about.class_name for pick in picks}) == len(picks) == 1000
    labels = [int(pick.about.class_name.removeprefix("class ")) for pick in picks]
    # From all over, and not the first ones.
    assert min(np.histogram(labels, 5, (0, 1500))[0]) > 150


@pytest.mark.parametrize("count", [1, 199, 200, 201, 12_345])
def test_of_a_pool_without_labels_some_are_shown_from_all_over(count):
    dataset = unlabelled_dataset(Colours(count), tuple(f"{place}.png" for place in range(count)))
    assert set(dataset.pool.labels) == {UNLABELLED}
    picks = pick_from_dataset(dataset)
    places = [pick.index for pick in picks]
    assert len(places) == min(count, 200)
    assert places == sorted(set(places))
    assert {pick.about.class_name for pick in picks} == {None}
    gaps = np.diff([-1, *places, count])
    assert gaps.max() <= 2 * np.ceil(count / len(places))


def selected(labels, reasons, scores):
    pool = split_of(labels)
    values = None if scores is None else torch.tensor(scores, dtype=torch.float64)
    return Selection(torch.arange(len(labels)), tuple(reasons), values, 0), pool


def test_the_best_of_a_class_come_first():
    reasons = ["far", "near", "far", "near", "far", "far"]
    selection, pool = selected([1, 1, 1, 1, 0, 0], reasons, [1.0, 2.0, 3.0, 1.0, 5.0, 5.0])
    images, about = best_of(selection, pool, ("cat", "dog"))
    # The farthest of the far, then the nearest of the near; equals as they lie.
    assert [told.id for told in about] == ["s/4", "s/5", "s/2", "s/0", "s/3", "s/1"]
    assert images.sample_ids == tuple(told.id for told in about)
    assert [told.class_name for told in about] == ["cat", "cat", "dog", "dog", "dog", "dog"]
    assert [(told.reason, told.score) for told in about[2:5]] == [("far", 3.0), ("far", 1.0), ("near", 1.0)]


@pytest.mark.parametrize(("n_classes", "each", "most"), [(3, 50, 40), (40, 30, 25), (1200, 1, 1)])
def test_a_class_has_forty_at_most_and_all_have_a_thousand(n_classes, each, most):
    labels = list(range(n_classes)) * each
    scores = [float(place) for place in range(len(labels))]
    selection, pool = selected(labels, ["far"] * len(labels), scores)
    images, about = best_of(selection, pool, tuple(map(str, range(n_classes))))
    shown = Counter(told.class_name for told in about)
    assert len(about) == len(images) == min(1000, 40 * n_classes, len(labels))
    assert max(shown.values()) == most
    for name, count in list(shown.items())[:5]:
        own = [told.score for told in about if told.class_name == name]
        assert own == [float(place) for place in range(len(labels)) if labels[place] == int(name)][::-1][:count]


def test_where_nothing_was_ranked_nothing_is_said():
    selection, pool = selected([0, 1, 0], ["uniform"] * 3, None)
    _, about = best_of(selection, pool, ("cat", "dog"))
    assert [(told.id, told.score, told.reason) for told in about] == [
        (f"s/{place}", None, "uniform") for place in (0, 2, 1)
    ]
    selection, pool = selected([0, 0], ["far", "far"], [float("inf"), float("nan")])
    assert [told.score for told in best_of(selection, pool, ("cat",))[1]] == [None, None]


@pytest.mark.parametrize("count", [3, 1000, 2503])
def test_a_manifest_is_shown_in_its_order(count):
    told = {"file": None, "weight": None, "label": None}
    samples = [
        ManifestSample(id=f"s/{place}", reason="far", score=place / 2, group="cluster 1" if place % 2 else None, **told)
        for place in range(count)
    ]
    images, about = spread_over(samples, split_of([0] * count))
    places = [int(shown.id.removeprefix("s/")) for shown in about]
    assert len(places) == min(count, 1000)
    assert places == sorted(set(places))
    assert images.sample_ids == tuple(shown.id for shown in about)
    for place, shown in zip(places, about, strict=True):
        assert (shown.class_name, shown.score, shown.split) == (samples[place].group, place / 2, "pool")


def about_all(images):
    samples = [
        ManifestSample(id=name, file=None, reason="far", score=1.0, group="rose", weight=None, label=None)
        for name in images.sample_ids
    ]
    return spread_over(samples, images)


def test_the_picture_shows_what_the_list_says(tmp_path):
    images, about = about_all(split_of([0] * 30))
    shares = []
    paths = draw_gallery(tmp_path, images, about, shares.append)
    assert [path.name for path in paths] == ["gallery.webp", "gallery.json"]
    told = told_in(tmp_path)
    assert {name: told[name] for name in ("side", "columns")} == {"side": 64, "columns": 25}
    assert told["images"][7] == {"id": "s/7", "class": "rose", "split": "pool", "score": 1.0, "reason": "far"}
    for place, colour in enumerate(colours_in(tmp_path, 30)):
        assert np.abs(np.subtract(colour, colour_of(place))).max() < 12, place
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (30, 1.0)


def test_equal_images_make_equal_files(tmp_path):
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = draw_gallery(tmp_path / name, *about_all(split_of([0] * 40)), ignore_progress)
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]


def test_what_cannot_be_shown_is_left_out(tmp_path, caplog):
    images, about = about_all(split_of([0] * 6, broken={1, 4}))
    draw_gallery(tmp_path, images, about, ignore_progress)
    kept = [0, 2, 3, 5]
    assert [shown["id"] for shown in told_in(tmp_path)["images"]] == [f"s/{place}" for place in kept]
    for place, colour in zip(kept, colours_in(tmp_path, 4), strict=True):
        assert np.abs(np.subtract(colour, colour_of(place))).max() < 12, place
    assert caplog.text.count("CorruptImageError") == 2


def test_where_nothing_can_be_shown_there_is_no_gallery(tmp_path):
    images, about = about_all(split_of([0] * 3, broken={0, 1, 2}))
    assert draw_gallery(tmp_path, images, about, ignore_progress) == []
    assert write_gallery(tmp_path, []) == []
    assert list(tmp_path.iterdir()) == []


def test_who_is_told_to_stop_stops():
    pictures = split_of([0] * 500)

    def stop(share):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        draw_gallery(None, *about_all(pictures), stop)
    assert pictures.images.asked.total() < 100


def test_a_picture_that_cannot_become_small_is_no_failure():
    closed = Image.new("RGB", (8, 8))
    closed.close()
    assert shrink(closed, "closed") is None
    assert shrink(Image.new("RGB", (8, 8)), "whole").size == (64, 64)


def test_grey_arrays_are_shown_like_any_other(tmp_path):
    pixels = np.full((2, 8, 8), 200, dtype=np.uint8)
    split = ImageSplit(ArrayImages(pixels), np.zeros(2, dtype=np.int64), ("a", "b"))
    draw_gallery(tmp_path, *about_all(split), ignore_progress)
    assert all(abs(value - 200) < 6 for colour in colours_in(tmp_path, 2) for value in colour)


def halves(count):
    return [count // 2, count - count // 2] if count else None


@pytest.mark.parametrize(("n_pool", "n_test"), [(70, 20), (9, 30), (50, 0)])
def test_every_image_is_decoded_once_and_some_are_kept(n_pool, n_test):
    made = dataset_of(halves(n_pool), halves(n_test))
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
        made = dataset_of([25, 25], [25, 25], broken={split: {place}})
        with pytest.raises(CorruptImageError):
            decode_all(made, pick_from_dataset(made), ignore_progress)
