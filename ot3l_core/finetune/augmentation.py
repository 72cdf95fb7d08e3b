"""Pictures that differ a little each time they are trained on."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image, ImageEnhance
from torch import Tensor

from ot3l_core.errors import InvalidSettingError
from ot3l_core.finetune.preprocessing import Preprocessing, prepare

_LARGEST_ASPECT: Final = 4 / 3
_ENHANCEMENTS: Final = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is varied; JSON-able.

    Attributes:
        crop_scale: Least share of the picture's area that a random crop keeps, in (0, 1]; at 1 nothing is cropped but
            what the backbone's own preprocessing crops.
        flip: Whether half of the pictures are mirrored left to right. Digits and letters do not survive that.
        colour_jitter: How far brightness, contrast and saturation are each multiplied away from 1, in [0, 1).

    Raises:
        InvalidSettingError: If one is outside its domain.
    """

    crop_scale: float = 0.5
    flip: bool = False
    colour_jitter: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.crop_scale <= 1:
            raise InvalidSettingError(f"crop_scale must lie in (0, 1]: got {self.crop_scale}", field="crop_scale")
        if not 0 <= self.colour_jitter < 1:
            raise InvalidSettingError(
                f"colour_jitter must lie in [0, 1): got {self.colour_jitter}", field="colour_jitter"
            )


Box = tuple[float, float, float, float]
"""(left, upper, right, lower) in pixels and parts of them."""


def augment(
    picture: Image.Image, preprocessing: Preprocessing, augmentation: Augmentation, random: np.random.Generator
) -> Tensor:
    """A variation of a picture as a backbone's input; with nothing to vary, ``prepare`` itself.

    Crop and resize are one step of Pillow's, with the interpolation that the picture is later classified under.

    Args:
        picture: Any mode and size; becomes RGB.
        preprocessing: The backbone's.
        augmentation: What is varied.
        random: Where the variation is drawn from.

    Returns:
        Shape ``(3, input_size, input_size)``, float32.

    Raises:
        UnsafeDataError: As ``prepare``.
    """
    picture = picture.convert("RGB")
    if augmentation.crop_scale < 1:
        box = draw_box(picture.width, picture.height, augmentation.crop_scale, random)
        side = preprocessing.input_size
        picture = picture.resize((side, side), Image.Resampling[preprocessing.interpolation.upper()], box)
        preprocessing = replace(preprocessing, crop_fraction=1.0)
    if augmentation.colour_jitter:
        for enhancement in _ENHANCEMENTS:
            factor = 1 + random.uniform(-augmentation.colour_jitter, augmentation.colour_jitter)
            picture = enhancement(picture).enhance(factor)
    if augmentation.flip and random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return prepare(picture, preprocessing)


def draw_box(width: int, height: int, crop_scale: float, random: np.random.Generator) -> Box:
    """A random part of a picture, of a shape between 3:4 and 4:3.

    The shape is drawn first; then the area, between ``crop_scale`` of the picture, or the largest that has this shape
    where that is smaller, and this largest; then the place. Nothing is drawn in vain, whatever the picture's own shape.

    Args:
        width: Of the picture, in pixels.
        height: Likewise.
        crop_scale: Least share of its area.
        random: Where it is drawn from.
    """
    aspect = math.exp(random.uniform(-math.log(_LARGEST_ASPECT), math.log(_LARGEST_ASPECT)))
    widest = min(width, height * aspect)
    largest = widest * widest / aspect
    area = random.uniform(min(crop_scale * width * height, largest), largest)
    box_width = min(math.sqrt(area * aspect), width)
    box_height = min(box_width / aspect, height)
    left = random.uniform(0, width - box_width)
    upper = random.uniform(0, height - box_height)
    return left, upper, min(left + box_width, width), min(upper + box_height, height)
