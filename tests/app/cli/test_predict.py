"""Classifying images with a checkpoint, without a service."""

import pytest
import torch
from PIL import Image

from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.checkpoints import CheckpointMetadata, load_checkpoint, save_checkpoint
from ot3l_core.finetune.heads import HeadLayout, build_head
from tests.generators.pictures import random_pictures


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint.safetensors"
    backbone = load_backbone("efficientnet_lite0", input_size=32)
    head = build_head(HeadLayout(backbone.feature_dim, 8, 3), seed=0).eval()
    save_checkpoint(path, backbone, head, CheckpointMetadata(("ant", "[b]ee", "c"), "{}", "ab" * 32, {}))
    return path


@pytest.fixture
def photos(tmp_path):
    """A folder of three images, and what is none."""
    root = tmp_path / "photos"
    (root / "deep").mkdir(parents=True)
    for name, pixels in zip(("1.png", "deep/2.jpg", "3.png"), random_pictures(3, shape=(40, 30, 3)), strict=True):
        Image.fromarray(pixels).save(root / name)
    (root / "notes.txt").write_text("x")
    (root / ".hidden.png").write_text("x")
    return root


def test_probabilities_are_those_of_the_network(ot3l, checkpoint, photos):
    found = ot3l("predict", checkpoint, photos, "-k", "9", "--json").json
    assert [one["image"] for one in found] == [str(photos / name) for name in ("1.png", "3.png", "deep/2.jpg")]
    expected = load_checkpoint(checkpoint).predict([Image.open(one["image"]).convert("RGB") for one in found])
    for one, shares in zip(found, expected, strict=True):
        assert [each["name"] for each in one["classes"]] == [("ant", "[b]ee", "c")[i] for i in shares.argsort().flip(0)]
        told = torch.tensor([each["probability"] for each in one["classes"]])
        assert torch.allclose(told, shares.sort(descending=True).values)


def test_a_table_has_a_row_for_each_class(ot3l, checkpoint, photos):
    shown = ot3l("predict", checkpoint, photos / "1.png", "--top", "2").out.splitlines()
    assert len(shown) == 3
    assert shown[0].split() == ["image", "class", "%"]


def test_one_that_cannot_be_read_does_not_stop_the_others(ot3l, checkpoint, photos):
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    ended = ot3l("predict", checkpoint, photos, "--json")
    assert ended.status == 1
    assert [one["image"].rpartition("/")[2] for one in ended.json if one["error"]] == ["broken.png"]
    assert sum(bool(one["classes"]) for one in ended.json) == 3
    assert "broken.png" in ended.err


def test_what_is_no_checkpoint_is_refused(ot3l, photos, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"x" * 100)
    for path in (tmp_path / "x.safetensors", tmp_path / "none.safetensors"):
        ended = ot3l("predict", path, photos)
        assert (ended.status, ended.out) == (1, "")
        assert path.name in ended.err
    (tmp_path / "empty").mkdir()
    assert "no image" in ot3l("predict", tmp_path / "x.safetensors", tmp_path / "empty").err
