import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from PIL import Image
from torch import nn

from ot3l_core.errors import ExportError, TooFewSamplesError
from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.checkpoints import CheckpointMetadata, load_checkpoint, save_checkpoint
from ot3l_core.finetune.exports import TOLERANCE, export_onnx, export_program
from ot3l_core.finetune.heads import HeadLayout, build_head

from .conftest import random_network

HERE = Path(__file__).parents[3]
CLASSES = ("cat", "dog", "Füllhorn")
SIZES = {"vit_b_16": 224}
LARGE = ["convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_lite0", "googlenet", "mnasnet0_5"]
LARGE += ["mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "swin_t", "vgg11", "vit_b_16"]
NETWORKS = ["squeezenet1_1", *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


@pytest.fixture(scope="module")
def pictures():
    """Pictures of one size: plain colours under noise."""
    generator = np.random.default_rng(0)
    shades = generator.integers(0, 200, (6, 1, 1, 3))
    pixels = (shades + generator.integers(0, 56, (6, 40, 36, 3))).astype(np.uint8)
    return [Image.fromarray(picture) for picture in pixels]


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory):
    """A checkpoint with random weights of a network of the catalogue."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        own, size = None, SIZES.get(name, 64)
        if name != "efficientnet_lite0":
            own = folder / "weights.pt"
            torch.save(random_network(name, size=size).state_dict(), own)
        backbone = load_backbone(name, input_size=size, weights=own)
        head = build_head(HeadLayout(backbone.feature_dim, 16, len(CLASSES)), seed=0).eval()
        metadata = CheckpointMetadata(CLASSES, "job-1", "ab" * 32, {})
        save_checkpoint(folder / "checkpoint", backbone, head, metadata)
        return load_checkpoint(folder / "checkpoint")

    return make


@pytest.fixture(scope="module", params=NETWORKS)
def checkpoint(request, checkpoint_of):
    return checkpoint_of(request.param)


def prepared(checkpoint, pictures):
    how = checkpoint.preprocessing
    pixels = [np.asarray(picture.resize((how.input_size,) * 2)) for picture in pictures]
    batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous() / 255
    return (batch - torch.tensor(how.mean).view(3, 1, 1)) / torch.tensor(how.std).view(3, 1, 1)


@pytest.fixture(scope="module")
def program(checkpoint, pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "network.pt2"
    assert export_program(path, checkpoint, pictures) <= TOLERANCE
    return path


@pytest.fixture(scope="module")
def onnx_file(checkpoint, pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    assert export_onnx(path, checkpoint, pictures) <= TOLERANCE
    return path


def test_a_program_predicts_as_its_checkpoint_does_on_any_batch(checkpoint, pictures, program):
    described = {"ot3l.json": ""}
    loaded = torch.export.load(program, extra_files=described).module()
    batch = prepared(checkpoint, pictures)
    expected = checkpoint.probabilities(batch)
    assert len(expected.unique(dim=0)) == len(pictures)
    for rows in (1, 2, 6):
        torch.testing.assert_close(loaded(batch[:rows]), expected[:rows], rtol=0, atol=TOLERANCE)
    assert tuple(json.loads(described["ot3l.json"])["classes"]) == CLASSES


def test_onnx_predicts_as_its_checkpoint_does_on_any_batch(checkpoint, pictures, onnx_file):
    session = InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    batch = prepared(checkpoint, pictures)
    expected = checkpoint.probabilities(batch)
    for rows in (1, 2, 6):
        (found,) = session.run(["probabilities"], {"pictures": batch[:rows].numpy()})
        torch.testing.assert_close(torch.from_numpy(found), expected[:rows], rtol=0, atol=TOLERANCE)
    described = json.loads(session.get_modelmeta().custom_metadata_map["ot3l"])
    assert described["preprocessing"]["input_size"] == checkpoint.preprocessing.input_size
    onnx.checker.check_model(onnx_file, full_check=True)


def test_an_export_says_nothing_of_the_machine_that_made_it(program, onnx_file):
    for path in (program, onnx_file):
        content = path.read_bytes()
        assert b"site-packages" not in content
        assert str(HERE).encode() not in content
        assert {other.name for other in path.parent.iterdir()} == {path.name}


def test_equal_checkpoints_give_equal_programs(checkpoint, pictures, program, tmp_path):
    export_program(tmp_path / "again", checkpoint, pictures[:1])
    assert (tmp_path / "again").read_bytes() == program.read_bytes()


@pytest.mark.slow
def test_equal_checkpoints_give_equal_onnx(checkpoint, pictures, onnx_file, tmp_path):
    export_onnx(tmp_path / "again", checkpoint, pictures[:1])
    assert (tmp_path / "again").read_bytes() == onnx_file.read_bytes()


class Branching(nn.Module):
    """Does what no graph can hold: it looks at the values."""

    def forward(self, logits):
        return logits if logits.sum().item() > 0 else -logits


class Pretending(nn.Module):
    """Does something else where it is looked at."""

    def forward(self, logits):
        return -9 * logits if torch.compiler.is_compiling() else logits


@pytest.mark.parametrize(
    ("part", "complaint"),
    [(Branching(), "cannot be written as a torch"), (Pretending(), "differ by .* use the checkpoint")],
)
def test_what_would_predict_otherwise_is_not_handed_over(checkpoint, pictures, tmp_path, part, complaint):
    altered = replace(checkpoint, network=nn.Sequential(checkpoint.network, part))
    with pytest.raises(ExportError, match=complaint):
        export_program(tmp_path / "network.pt2", altered, pictures)
    assert not list(tmp_path.iterdir())


def test_an_export_that_cannot_be_compared_is_not_handed_over(checkpoint, tmp_path):
    with pytest.raises(TooFewSamplesError):
        export_program(tmp_path / "network.pt2", checkpoint, [])
    assert not list(tmp_path.iterdir())
