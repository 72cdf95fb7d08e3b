import json
import struct
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from ot3l_core.errors import CheckpointError
from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.checkpoints import CheckpointMetadata, load_checkpoint, save_checkpoint
from ot3l_core.finetune.evaluation import evaluate
from ot3l_core.finetune.heads import HeadLayout, build_head

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "classify.py"
METADATA = CheckpointMetadata(("cat", "dog", "Füllhorn"), "job-1", "ab" * 32, {"accuracy": 0.5}, temperature=1.5)


@pytest.fixture
def pixels():
    """Pictures of one size: plain colours under noise."""
    generator = np.random.default_rng(0)
    shades = generator.integers(0, 200, (40, 1, 1, 3))
    return (shades + generator.integers(0, 56, (40, 24, 20, 3))).astype(np.uint8)


@pytest.fixture
def head(backbone):
    return build_head(HeadLayout(backbone.feature_dim, 16, 3), seed=0).eval()


@pytest.fixture
def checkpoint(tmp_path, backbone, head):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, backbone, head, METADATA)
    return path


@pytest.fixture
def classify(monkeypatch, capsys):
    """Runs the example script with these arguments; gives its exit status and what it prints."""
    spec = spec_from_file_location("classify", EXAMPLE)
    script = module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["classify.py", *map(str, arguments)])
        return script.main(), capsys.readouterr().out

    return run


def probabilities_in_memory(backbone, head, pixels):
    batch = torch.stack([backbone.preprocess(Image.fromarray(picture)) for picture in pixels])
    return head.probabilities(backbone.embed(batch))


def rewritten(path, edit):
    """The file with another description; its tensors stay."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    description = json.loads(header["__metadata__"]["ot3l"])
    edit(description)
    header["__metadata__"]["ot3l"] = json.dumps(description)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


def test_the_saved_network_is_the_one_in_memory_bit_for_bit(checkpoint, backbone, head, pixels):
    loaded = load_checkpoint(checkpoint)
    expected = probabilities_in_memory(backbone, head, pixels)
    assert torch.equal(loaded.predict([Image.fromarray(picture) for picture in pixels]), expected)
    assert len(expected.unique(dim=0)) > 1
    assert loaded.metadata == METADATA
    assert loaded.preprocessing == backbone.preprocessing
    assert loaded.architecture == backbone.architecture
    assert loaded.backbone == backbone.name
    assert loaded.backbone_digest == backbone.digest


def test_no_pictures_have_no_probabilities(checkpoint):
    assert load_checkpoint(checkpoint).predict([]).shape == (0, 3)


@pytest.mark.parametrize("name", ["mnasnet0_5", "efficientnet_lite0", "squeezenet1_1"])
def test_every_kind_of_network_survives(publish, tmp_path, pixels, name):
    if name != "efficientnet_lite0":
        publish(name)
    backbone = load_backbone(name, input_size=64)
    head = build_head(HeadLayout(backbone.feature_dim, 16, 3), seed=0)
    save_checkpoint(tmp_path / "saved", backbone, head, METADATA)
    found = load_checkpoint(tmp_path / "saved").predict([Image.fromarray(picture) for picture in pixels[:8]])
    assert torch.equal(found, probabilities_in_memory(backbone, head, pixels[:8]))


def test_equal_inputs_give_equal_bytes_and_leave_nothing_else(checkpoint, backbone, head):
    again = checkpoint.with_name("again")
    save_checkpoint(again, backbone, head, METADATA)
    assert again.read_bytes() == checkpoint.read_bytes()
    assert {path.suffix for path in checkpoint.parent.iterdir() if path.is_file()} == {"", ".safetensors"}


def test_plain_pytorch_classifies_exactly_as_was_evaluated(checkpoint, backbone, head, pixels, classify, tmp_path):
    probabilities = probabilities_in_memory(backbone, head, pixels)
    labels = (probabilities.argmax(dim=1) + torch.arange(40) % 3 // 2) % 3
    np.savez(tmp_path / "images.npz", x=pixels, y=labels.numpy())
    evaluation = evaluate(probabilities, labels)
    status, printed = classify(checkpoint, tmp_path / "images.npz", "--expect-accuracy", evaluation.accuracy)
    assert (status, printed.split(":")[0]) == (0, f"{round(evaluation.accuracy * 40)} of 40 correct")
    assert classify(checkpoint, tmp_path / "images.npz", "--expect-accuracy", 0.123)[0] == 1


def test_plain_pytorch_names_the_classes_of_image_files(checkpoint, backbone, head, pixels, classify, tmp_path):
    Image.fromarray(pixels[0]).save(tmp_path / "one.png")
    best = probabilities_in_memory(backbone, head, pixels[:1]).max(dim=1)
    expected = f"one.png: {METADATA.classes[best.indices.item()]} ({best.values.item():.1%})\n"
    assert classify(checkpoint, tmp_path / "one.png") == (0, expected)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\x03\x04 not tensors at all"])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(CheckpointError, match="'other' is no whole safetensors file"):
        load_checkpoint(tmp_path / "other")


def test_a_missing_file_and_foreign_tensors_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no file"):
        load_checkpoint(tmp_path / "nothing")
    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="not the description"):
        load_checkpoint(tmp_path / "foreign")


def test_a_file_cut_short_is_refused(checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="no whole"):
        load_checkpoint(checkpoint)


def test_one_flipped_bit_of_a_weight_is_noticed(checkpoint):
    content = bytearray(checkpoint.read_bytes())
    content[-1000] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(CheckpointError, match="altered"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda description: description["classes"].reverse(), "altered"),
        (lambda description: description["metrics"].update(accuracy=0.99), "altered"),
        (lambda description: description.pop("digest"), "cannot|does not describe"),
        (lambda description: description.update(format_version=2), "format 2, this package reads 1"),
        (lambda description: description.clear(), "does not describe"),
    ],
)
def test_an_altered_description_is_noticed(checkpoint, edit, complaint):
    rewritten(checkpoint, edit)
    with pytest.raises(CheckpointError, match=complaint):
        load_checkpoint(checkpoint)


def test_a_description_that_is_no_json_is_refused(checkpoint):
    save_file(load_file(checkpoint), checkpoint, metadata={"ot3l": "{"})
    with pytest.raises(CheckpointError, match="does not describe"):
        load_checkpoint(checkpoint)


def test_what_cannot_be_described_is_not_saved(tmp_path, backbone, head):
    path = tmp_path / "never"
    for metadata in (
        CheckpointMetadata(("cat", "dog"), "job", "ab", {}),
        CheckpointMetadata(("a", "b", "c"), "job", "ab", {"accuracy": float("nan")}),
    ):
        with pytest.raises(CheckpointError):
            save_checkpoint(path, backbone, head, metadata)
    assert not path.exists()
