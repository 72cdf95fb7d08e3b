"""From a picture to the tensor that a backbone expects."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ot3l_core.errors import InvalidSettingError, UnsafeDataError

_RESAMPLING: Final = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_SMALLEST_INPUT: Final = 16
_LARGEST_INPUT: Final = 2048
_THINNEST: Final = 64


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Resize, centre crop and scaling; part of a backbone's identity.

    Attributes:
        input_size: Side of the square crop, in pixels.
        crop_fraction: Share of the resized short side that the crop keeps, in [0.25, 1].
        interpolation: ``bilinear`` or ``bicubic``.
        mean: Subtracted from each of the channels R, G, B, which are in [0, 1].
        std: What each channel is then divided by.

    Raises:
        InvalidSettingError: If the size or the fraction is outside its domain.
    """

    input_size: int
    crop_fraction: float
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not _SMALLEST_INPUT <= self.input_size <= _LARGEST_INPUT:
            raise InvalidSettingError(
                f"input_size must be {_SMALLEST_INPUT} to {_LARGEST_INPUT} pixels: got {self.input_size}",
                field="input_size",
            )
        if not 0.25 <= self.crop_fraction <= 1:
            raise InvalidSettingError(
                f"crop_fraction must lie in [0.25, 1]: got {self.crop_fraction}", field="crop_fraction"
            )
        if self.interpolation not in _RESAMPLING:
            raise InvalidSettingError(
                f"interpolation must be one of {', '.join(_RESAMPLING)}: got {self.interpolation!r}",
                field="interpolation",
            )

    @property
    def resize_size(self) -> int:
        """Short side before the crop, in pixels."""
        return round(self.input_size / self.crop_fraction)


def prepare(picture: Image.Image, preprocessing: Preprocessing) -> Tensor:
    """Turn a picture into a backbone's input, as torchvision's own transforms do.

    Args:
        picture: Any mode and size; becomes RGB.
        preprocessing: How.

    Returns:
        Shape ``(3, input_size, input_size)``, float32; in memory the channels of a pixel lie side by side, as the
        backbones read them.

    Raises:
        UnsafeDataError: If the picture is so thin that resizing its short side would exhaust the memory.
    """
    if max(picture.size) > _THINNEST * min(picture.size):
        raise UnsafeDataError(
            f"a picture of {picture.width} x {picture.height} pixels is too thin to resize: one side may be at most "
            f"{_THINNEST} times the other"
        )
    # Equal channels stay equal, so a grey picture becomes RGB only after the work on each of them.
    plain = picture if picture.mode in {"L", "RGB"} else picture.convert("RGB")
    resized = _resize_short_side(plain, preprocessing.resize_size, _RESAMPLING[preprocessing.interpolation])
    side = preprocessing.input_size
    left, top = round((resized.width - side) / 2), round((resized.height - side) / 2)
    pixels = np.asarray(resized.crop((left, top, left + side, top + side)).convert("RGB"))
    mean, std = (_row(channels, side) for channels in (preprocessing.mean, preprocessing.std))
    levels = np.divide(pixels, np.float32(255), dtype=np.float32)
    levels -= mean
    levels /= std
    return torch.from_numpy(levels).permute(2, 0, 1)


@cache
def _row(channels: tuple[float, float, float], width: int) -> NDArray[np.float32]:
    """The values of the channels, once for each pixel of a row: NumPy is fast along rows, not along three values."""
    return np.tile(np.array(channels, dtype=np.float32), (width, 1))


def _resize_short_side(picture: Image.Image, short: int, resampling: Image.Resampling) -> Image.Image:
    width, height = picture.size
    size = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    return picture if size == picture.size else picture.resize(size, resampling)
