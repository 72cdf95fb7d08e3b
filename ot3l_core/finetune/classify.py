"""Classify images with an ot3l checkpoint, using PyTorch, safetensors and Pillow alone.

    python classify.py checkpoint.safetensors photo.jpg other.png
    python classify.py checkpoint.safetensors images.npz --expect-accuracy 0.8415

Besides these it needs the package that has the backbone's layers: torchvision or efficientnet-lite-pytorch. An .npz
file holds ``x``, uint8 pixels (n, h, w) or (n, h, w, 3), and may hold ``y``, the true labels. Lay transparent pictures
over white first.
"""

import argparse
import json
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from torch import Tensor, nn


def load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The checkpoint's network and its description."""
    with safe_open(path, framework="pt") as stored:
        description = json.loads(stored.metadata()["ot3l"])
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    parts = OrderedDict(backbone=build_backbone(**description["architecture"]), head=build_head(**description["head"]))
    network = nn.Sequential(parts)
    own = network.state_dict()
    if own.keys() != weights.keys():
        raise SystemExit("the checkpoint's tensors are not those of the network that it describes")
    for name, tensor in own.items():
        tensor.copy_(weights[name])
    network.eval().to(memory_format=torch.channels_last)
    return network, description


def build_backbone(library: str, name: str, arguments: dict[str, Any], cut_module: str, cut_keep: int) -> nn.Module:
    """The pretrained network's layers without the dense ones at its end."""
    if library == "torchvision":
        from torchvision.models import get_model  # noqa: PLC0415

        network: nn.Module = get_model(name, weights=None, **arguments)
    else:
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

        network = EfficientNet.from_name(name, **arguments)
    last = getattr(network, cut_module)
    setattr(network, cut_module, last[:cut_keep] if isinstance(last, nn.Sequential) else nn.Sequential())
    return network


def build_head(feature_dim: int, hidden: int, n_classes: int, activation: str) -> nn.Module:
    """The two dense layers that were trained."""
    head = nn.Sequential()
    head.add_module("penultimate", nn.Linear(feature_dim, hidden))
    head.add_module("activation", getattr(nn, activation)())
    head.add_module("output", nn.Linear(hidden, n_classes))
    return head


def prepare(picture: Image.Image, how: dict[str, Any]) -> Tensor:
    """Resize the short side, crop the centre, scale: a tensor (3, h, w)."""
    picture, side = picture.convert("RGB"), how["input_size"]
    width, height = picture.size
    short = round(side / how["crop_fraction"])
    size = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling[how["interpolation"].upper()])
    left, top = round((picture.width - side) / 2), round((picture.height - side) / 2)
    pixels = torch.from_numpy(np.array(picture.crop((left, top, left + side, top + side))))
    mean, std = (torch.tensor(how[name]).view(3, 1, 1) for name in ("mean", "std"))
    return (pixels.permute(2, 0, 1).float() / 255 - mean) / std


@torch.no_grad()
def classify(network: nn.Module, pictures: list[Image.Image], how: dict[str, Any], batch_size: int = 64) -> Tensor:
    """Probabilities of each class, shape (n, L); what calibrates them is part of the weights."""
    found = []
    for start in range(0, len(pictures), batch_size):
        batch = torch.stack([prepare(picture, how) for picture in pictures[start : start + batch_size]])
        found.append(network(batch.contiguous(memory_format=torch.channels_last)).softmax(dim=1))
    return torch.cat(found)


def read_images(paths: list[Path]) -> tuple[list[str], list[Image.Image], NDArray[Any] | None]:
    """Names, pictures and, from an .npz file that has them, true labels."""
    if paths[0].suffix != ".npz":
        return [path.name for path in paths], [Image.open(path) for path in paths], None
    with np.load(paths[0], allow_pickle=False) as arrays:
        pictures = [Image.fromarray(pixels) for pixels in arrays["x"]]
        labels = arrays.get("y")
    return [f"image {index}" for index in range(len(pictures))], pictures, labels


def main() -> int:
    """Classify, and compare with the labels where there are some; 1 if the accuracy is not the expected one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("images", type=Path, nargs="+", help="image files, or one .npz file")
    parser.add_argument("--expect-accuracy", type=float, help="fail unless the accuracy is exactly this share")
    arguments = parser.parse_args()
    network, description = load(arguments.checkpoint)
    names, pictures, labels = read_images(arguments.images)
    confidence, predicted = classify(network, pictures, description["preprocessing"]).max(dim=1)
    if labels is None:
        for name, share, index in zip(names, confidence.tolist(), predicted.tolist(), strict=True):
            print(f"{name}: {description['classes'][index]} ({share:.1%})")
        return 0
    correct = int((predicted.numpy() == labels).sum())
    print(f"{correct} of {len(labels)} correct: accuracy {correct / len(labels):.2%}")
    return int(arguments.expect_accuracy not in {None, correct / len(labels)})


if __name__ == "__main__":
    sys.exit(main())
