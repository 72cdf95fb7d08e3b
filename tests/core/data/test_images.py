"""Views copy nothing and digests see content alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.data.images import ArrayImages, EncodedImages, ImageDataset, ImageSplit
from ot3l_core.errors import ShapeMismatchError
from tests.generators.pictures import encoded, random_pictures


def split_of(pixels, *, prefix="sample", labels=None):
    ids = tuple(f"{prefix}{index}" for index in range(len(pixels)))
    labels = np.zeros(len(pixels), np.int64) if labels is None else np.array(labels)
    return ImageSplit(ArrayImages(np.stack(pixels)), labels, ids)


indices = st.lists(st.integers(0, 5), max_size=8).map(lambda chosen: np.array(chosen, dtype=np.int64))


@given(first=indices)
@settings(deadline=None, max_examples=30)
def test_a_view_shows_the_chosen_samples_in_order(first):
    split = split_of(random_pictures(6), labels=range(6))
    view = split.take(first)
    assert len(view) == len(first)
    assert view.labels.tolist() == first.tolist()
    assert view.sample_ids == tuple(f"sample{index}" for index in first)
    for position, index in enumerate(first.tolist()):
        assert view.images.payload(position) == split.images.payload(index)
        assert view.images.picture(position) == split.images.picture(index)


@given(first=st.permutations(range(6)), second=indices)
@settings(deadline=None, max_examples=30)
def test_a_view_of_a_view_composes(first, second):
    split = split_of(random_pictures(6), labels=range(6))
    outer = np.array(first, dtype=np.int64)
    twice, once = split.take(outer).take(second), split.take(outer[second])
    assert twice.sample_ids == once.sample_ids
    assert twice.digest == once.digest


def test_the_digest_depends_on_pictures_and_their_order_and_on_nothing_else():
    pixels = random_pictures(4)
    digest = split_of(pixels).digest
    assert split_of(pixels, prefix="other", labels=[1, 2, 3, 4]).digest == digest
    assert split_of(pixels[::-1]).digest != digest
    assert split_of(pixels[:3]).digest != digest
    assert split_of([*pixels[:3], pixels[3] ^ 1]).digest != digest


def test_the_digest_tells_apart_shapes_that_hold_the_same_bytes():
    pixels = np.arange(12, dtype=np.uint8)
    assert split_of([pixels.reshape(3, 4)]).digest != split_of([pixels.reshape(4, 3)]).digest


def test_the_dataset_digest_sees_classes_labels_and_which_split_is_which():
    one, two = split_of(random_pictures(3)), split_of(random_pictures(3, seed=1))
    datasets = [
        ImageDataset(("a", "b"), one, two),
        ImageDataset(("a", "c"), one, two),
        ImageDataset(("b", "a"), one, two),
        ImageDataset(("a", "b"), two, one),
        ImageDataset(("a", "b"), one, None),
        ImageDataset(("a", "b"), split_of(random_pictures(3), labels=[0, 1, 0]), two),
    ]
    assert len({dataset.digest for dataset in datasets}) == len(datasets)


def test_two_boxes_of_one_file_are_two_payloads():
    content = encoded(random_pictures(1)[0])
    images = EncodedImages(lambda _: content, ("a", "b"), np.array([[0, 0, 2, 2], [1, 1, 3, 3]]))
    assert images.payload(0) != images.payload(1)


def test_pictures_labels_and_ids_must_be_equally_many():
    with pytest.raises(ShapeMismatchError, match="3 pictures, 2 labels"):
        ImageSplit(ArrayImages(np.stack(random_pictures(3))), np.zeros(2, np.int64), ("a", "b", "c"))
