import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ot3l_core.errors import InvalidSettingError
from ot3l_core.finetune.augmentation import Augmentation, augment, draw_box
from ot3l_core.finetune.preprocessing import Preprocessing, prepare
from tests.generators.pictures import random_pictures

PREPROCESSING = Preprocessing(24, 0.875, "bilinear", (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
PLAIN = Augmentation(crop_scale=1.0)


def picture(shape=(30, 40, 3)):
    return Image.fromarray(random_pictures(1, shape=shape)[0])


def variations(augmentation, count=64, of=None):
    of = of or picture()
    return [augment(of, PREPROCESSING, augmentation, np.random.default_rng(seed)) for seed in range(count)]


def test_with_nothing_to_vary_a_picture_is_prepared_as_ever():
    assert torch.equal(
        augment(picture(), PREPROCESSING, PLAIN, np.random.default_rng(0)), prepare(picture(), PREPROCESSING)
    )


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(0.3, flip=True, colour_jitter=0.2)])
def test_every_draw_is_another_picture_and_the_same_draw_the_same_bits(augmentation):
    first, again = variations(augmentation), variations(augmentation)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({one.numpy().tobytes() for one in first}) == len(first)
    assert {(one.shape, one.dtype) for one in first} == {((3, 24, 24), torch.float32)}


def test_half_are_mirrored_where_that_is_allowed_and_none_where_not():
    plain = prepare(picture(), PREPROCESSING)
    flipped = [torch.equal(one, plain.flip(-1)) for one in variations(Augmentation(1.0, flip=True), 200)]
    kept = [torch.equal(one, plain) for one in variations(Augmentation(1.0, flip=True), 200)]
    assert all(one != other for one, other in zip(flipped, kept, strict=True))
    assert 70 < sum(flipped) < 130
    assert all(torch.equal(one, plain) for one in variations(PLAIN, 20))


def test_a_crop_of_a_ramp_keeps_its_direction_and_lies_inside():
    ramp = Image.fromarray(np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1)))
    for seed in range(32):
        plain = Preprocessing(24, 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3)
        row = augment(ramp, plain, Augmentation(0.3), np.random.default_rng(seed))[0, 12]
        assert (row.diff() >= 0).all()
        assert 0 < row[-1] - row[0] <= 236 / 255


def test_colours_move_by_no_more_than_they_may_and_grey_stays_grey():
    grey = Image.new("L", (40, 30), 100)
    found = torch.stack(variations(Augmentation(1.0, colour_jitter=0.2), of=grey))
    plain = prepare(grey, PREPROCESSING)
    brightness = (found * 0.2 + torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) * 255
    assert (brightness.amax(dim=(1, 2, 3)) - brightness.amin(dim=(1, 2, 3)) < 1e-3).all()
    assert brightness.min() >= 79
    assert brightness.max() <= 121
    assert not torch.equal(found[0], plain)


@settings(deadline=None, max_examples=300)
@given(
    width=st.integers(1, 3000), height=st.integers(1, 3000), scale=st.floats(0.01, 1), seed=st.integers(0, 2**32 - 1)
)
def test_a_box_lies_in_the_picture_with_the_shape_and_area_promised(width, height, scale, seed):
    left, upper, right, lower = draw_box(width, height, scale, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= upper < lower <= height
    aspect = (right - left) / (lower - upper)
    assert 3 / 4 - 1e-6 <= aspect <= 4 / 3 + 1e-6
    widest = min(width, height * aspect)
    assert (right - left) * (lower - upper) >= min(scale * width * height, widest**2 / aspect) * (1 - 1e-6)


@pytest.mark.parametrize(
    ("name", "value"), [("crop_scale", 0.0), ("crop_scale", 1.1), ("colour_jitter", 1.0), ("colour_jitter", -0.1)]
)
def test_settings_outside_their_domain_are_refused_by_name(name, value):
    with pytest.raises(InvalidSettingError) as caught:
        Augmentation(**{name: value})
    assert caught.value.field == name
