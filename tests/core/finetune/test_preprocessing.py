import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.models import get_model_weights

from ot3l_core.catalogue import find_backbone
from ot3l_core.errors import InvalidSettingError, UnsafeDataError
from ot3l_core.finetune.preprocessing import Preprocessing, prepare
from ot3l_core.finetune.published import describe

PLAIN = {"interpolation": "bilinear", "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@settings(deadline=None, max_examples=15)
@given(
    name=st.sampled_from(["resnet18", "resnet50", "efficientnet_b0", "efficientnet_v2_l", "vit_h_14", "inception_v3"]),
    width=st.integers(8, 400),
    height=st.integers(8, 400),
)
def test_it_is_torchvisions_own(name, width, height):
    picture = noise(width, height)
    expected = get_model_weights(name).DEFAULT.transforms()(picture)
    assert torch.equal(prepare(picture, describe(find_backbone(name)).preprocessing), expected)


@given(level=st.integers(0, 255))
def test_efficientnet_lite_reads_levels_less_127_over_128(level):
    preprocessing = describe(find_backbone("efficientnet_lite0"), input_size=16).preprocessing
    prepared = prepare(Image.new("L", (20, 30), level), preprocessing)
    torch.testing.assert_close(prepared, torch.full((3, 16, 16), (level - 127) / 128))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    assert prepare(noise(40, 30).convert(mode), Preprocessing(16, 1.0, **PLAIN)).shape == (3, 16, 16)


@settings(deadline=None, max_examples=15)
@given(width=st.integers(8, 400), height=st.integers(8, 400))
def test_grey_may_come_as_such_or_as_rgb(width, height):
    grey = noise(width, height).convert("L")
    preprocessing = describe(find_backbone("efficientnet_lite0"), input_size=64).preprocessing
    assert torch.equal(prepare(grey, preprocessing), prepare(grey.convert("RGB"), preprocessing))


def test_the_channels_of_a_pixel_lie_side_by_side():
    batch = prepare(noise(40, 30), Preprocessing(16, 1.0, **PLAIN))[None]
    assert batch.is_contiguous(memory_format=torch.channels_last)


@settings(deadline=None)
@given(size=st.integers(16, 64), fraction=st.floats(0.25, 1.0))
def test_the_crop_keeps_its_fraction_of_the_short_side(size, fraction):
    preprocessing = Preprocessing(size, fraction, **PLAIN)
    assert abs(preprocessing.resize_size * fraction - size) <= 0.5
    assert prepare(noise(50, 70), preprocessing).shape == (3, size, size)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_size", 15),
        ("input_size", 4096),
        ("crop_fraction", 0.0),
        ("crop_fraction", 1.1),
        ("interpolation", "sinc"),
    ],
)
def test_settings_outside_their_domain_are_refused_by_name(field, value):
    with pytest.raises(InvalidSettingError) as caught:
        Preprocessing(**{"input_size": 32, "crop_fraction": 1.0, **PLAIN, field: value})
    assert caught.value.field == field


def test_a_picture_that_would_fill_the_memory_is_refused():
    with pytest.raises(UnsafeDataError, match="1 x 100000"):
        prepare(Image.new("L", (1, 100_000)), Preprocessing(224, 0.875, **PLAIN))
