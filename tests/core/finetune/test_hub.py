"""The folder for the Hugging Face hub: whole, plain, the same every time, and with the same network in it."""

import json
import runpy
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from torchvision.transforms import v2

from ot3l_core.errors import CheckpointError
from ot3l_core.finetune.checkpoints import CheckpointMetadata, load_checkpoint, save_checkpoint
from ot3l_core.finetune.heads import HeadLayout, build_head
from ot3l_core.finetune.hub import FIGURE, SCRIPT, WEIGHTS, export_hub
from ot3l_core.finetune.model_card import loading_code, write_model_card

from .test_model_card import CLASSES, facts_of

FILES = {"README.md", "config.json", "preprocessor_config.json", "model.safetensors", "report.png", "classify.py"}


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return [Image.fromarray(generator.integers(0, shade, (50, 70, 3)).astype(np.uint8)) for shade in (60, 120, 250)]


@pytest.fixture
def facts(backbone):
    made = facts_of(backbone, build_head(HeadLayout(backbone.feature_dim, 16, 3), seed=0))
    return replace(made, checkpoint=WEIGHTS, figure=FIGURE, script=SCRIPT)


@pytest.fixture
def made_of(tmp_path, backbone, facts):
    """What goes into the zip."""
    checkpoint, figure = tmp_path / "checkpoint.safetensors", tmp_path / "drawn.png"
    head = build_head(facts.head, seed=0)
    save_checkpoint(checkpoint, backbone, head, CheckpointMetadata(CLASSES, "{}", "ab" * 32, {"accuracy": 0.75}))
    Image.new("RGB", (4, 4)).save(figure)
    return {"checkpoint": checkpoint, "card": write_model_card(facts), "figure": figure}


@pytest.fixture
def folder(tmp_path, made_of):
    export_hub(tmp_path / "hub.zip", **made_of)
    with zipfile.ZipFile(tmp_path / "hub.zip") as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "hub")
    return tmp_path / "hub"


def test_it_holds_what_the_hub_looks_for(folder, made_of):
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / "model.safetensors").read_bytes() == made_of["checkpoint"].read_bytes()
    assert (folder / "report.png").read_bytes() == made_of["figure"].read_bytes()


def test_its_card_is_a_page_of_the_hub(folder):
    _, front, body = (folder / "README.md").read_text().split("---\n", maxsplit=2)
    read = yaml.safe_load(front)
    assert (read["pipeline_tag"], read["library_name"]) == ("image-classification", "pytorch")
    (result,) = read["model-index"][0]["results"]
    assert result["task"] == {"type": "image-classification"}
    assert {"type": "accuracy", "value": 0.75} in result["metrics"]
    assert "](report.png)" in body
    assert "classify.py model.safetensors photo.jpg" in body
    # No file is named that is not there.
    assert "checkpoint.safetensors" not in body


def test_its_configuration_names_classes_both_ways(folder, backbone):
    config = json.loads((folder / "config.json").read_text())
    assert tuple(config["id2label"][str(index)] for index in range(3)) == CLASSES
    assert config["label2id"] == {name: index for index, name in enumerate(CLASSES)}
    assert config["architecture"]["name"] == backbone.architecture.name
    assert config["head"]["n_classes"] == config["num_labels"] == 3


def test_plain_torch_predicts_from_it_as_the_checkpoint_does(folder, facts, pictures, made_of, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    exec(loading_code(facts), names)  # noqa: S102 - that it runs is what is tested
    with torch.no_grad():
        found = names["network"](torch.stack([names["prepare"](picture) for picture in pictures])).softmax(dim=1)
    torch.testing.assert_close(found, load_checkpoint(made_of["checkpoint"]).predict(pictures), rtol=0, atol=1e-5)
    assert load_file("model.safetensors").keys() == names["network"].state_dict().keys()


def test_its_script_runs_without_this_package(folder, pictures, made_of, monkeypatch, capsys):
    pictures[0].save(folder / "photo.png")
    monkeypatch.setattr(sys, "argv", ["classify.py", str(folder / WEIGHTS), str(folder / "photo.png")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(folder / "classify.py"), run_name="__main__")
    best = load_checkpoint(made_of["checkpoint"]).predict(pictures[:1]).max(dim=1)
    expected = f"photo.png: {CLASSES[best.indices.item()]} ({best.values.item():.1%})\n"
    assert (ended.value.code, capsys.readouterr().out) == (0, expected)
    assert "import ot3l" not in (folder / "classify.py").read_text()
    assert "from ot3l" not in (folder / "classify.py").read_text()


def test_its_preprocessing_in_the_words_of_the_hub_is_the_same(folder, pictures, backbone):
    how = json.loads((folder / "preprocessor_config.json").read_text())
    steps = v2.Compose(
        [
            v2.Resize(
                how["size"]["shortest_edge"], v2.InterpolationMode(Image.Resampling(how["resample"]).name.lower())
            ),
            v2.CenterCrop([how["crop_size"]["height"], how["crop_size"]["width"]]),
            v2.PILToTensor(),
            v2.Lambda(lambda pixels: pixels * how["rescale_factor"]),
            v2.Normalize(how["image_mean"], how["image_std"]),
        ]
    )
    for picture in pictures:
        torch.testing.assert_close(steps(picture), backbone.preprocess(picture), rtol=0, atol=1e-5)


def test_equal_checkpoints_give_equal_bytes_and_nothing_else(tmp_path, made_of):
    for name in ("one.zip", "two.zip"):
        export_hub(tmp_path / name, **made_of)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "one.zip").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def test_what_is_no_checkpoint_is_not_handed_over(tmp_path, made_of):
    made_of["checkpoint"].write_bytes(b"no tensors")
    with pytest.raises(CheckpointError):
        export_hub(tmp_path / "hub.zip", **made_of)
    assert not (tmp_path / "hub.zip").exists()
