import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.checkpoints import CheckpointMetadata, load_checkpoint, save_checkpoint
from ot3l_core.finetune.evaluation import evaluate, summarise
from ot3l_core.finetune.heads import HeadLayout, build_head
from ot3l_core.finetune.model_card import ModelCardFacts, loading_code, write_model_card
from ot3l_core.names import Strategy

from .conftest import random_network

CLASSES = ("cat", "a | *dog*", "Füllhorn")
QUICK = ["efficientnet_lite0", "mnasnet0_5", "squeezenet1_1"]
LARGE = ["convnext_tiny", "densenet121", "googlenet", "mobilenet_v3_small", "swin_t", "vgg11", "vit_b_16"]
SIZES = {"vit_b_16": 224}


def facts_of(backbone, head, **changes):
    labels = torch.tensor([0, 0, 0, 1])
    probabilities = torch.tensor([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1]])
    facts = ModelCardFacts(
        title="Pets: 3 classes",
        backbone=backbone.name,
        architecture=backbone.architecture,
        head=head.layout,
        preprocessing=backbone.preprocessing,
        classes=CLASSES,
        dataset="my <pets>",
        dataset_digest="ab" * 32,
        strategy=Strategy.MIXED,
        budget=200,
        alpha=0.5,
        seed=2,
        seeds=(1, 2, 3),
        evaluation=evaluate(probabilities, labels),
        accuracies=summarise([0.7, 0.75, 0.8]),
        temperature=1.25,
        versions={"torch": "2.11.0", "ot3l": "0.1.0"},
    )
    return replace(facts, **changes)


@pytest.fixture
def facts(backbone):
    return facts_of(backbone, build_head(HeadLayout(backbone.feature_dim, 16, 3), seed=0))


def test_the_front_matter_says_what_was_measured(facts):
    _, front, body = write_model_card(facts).split("---\n", maxsplit=2)
    read = yaml.safe_load(front)
    (result,) = read["model-index"][0]["results"]
    assert read["model-index"][0]["name"] == facts.title
    assert read["pipeline_tag"] == "image-classification"
    assert "license" not in read
    assert result["dataset"] == {"name": "my <pets>", "type": "my <pets>", "split": "test"}
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.75}
    assert body.startswith("\n# Pets: 3 classes\n")


def test_every_fact_is_in_the_card(facts):
    text = write_model_card(facts)
    for said in (
        "| accuracy | 75.00%, 95% interval 30.06% to 95.44% (Wilson, from 4 test samples) |",
        "| accuracy over seeds | 75.00% ± 12.42% (95% interval of the mean over 3 seeds) |",
        "`mixed`, alpha 0.5",
        "| cat | 3 | 66.67% |",
        "| a \\| \\*dog\\* | 1 | 100.00% |",
        "| Füllhorn | 0 | none to find |",
        "temperature 1.250",
        "my \\<pets\\>",
        "ab" * 32,
        "- ot3l 0.1.0\n- torch 2.11.0\n",
        "one of 3 seeds",
    ):
        assert said in text


def test_what_is_not_so_is_not_said(facts):
    plain = replace(
        facts, alpha=None, strategy=Strategy.UNIFORM, seeds=(2,), accuracies=summarise([0.75]), temperature=1.0
    )
    text = write_model_card(plain)
    for unsaid in ("alpha", "interval of the mean", "divided by", "one of 1 seeds", "onnx", "torch.export"):
        assert unsaid not in text


def test_programs_are_shown_where_there_are_some(facts):
    text = write_model_card(replace(facts, program="network.pt2", onnx="network.onnx"))
    assert "torch.export.load('network.pt2')" in text
    assert "InferenceSession('network.onnx')" in text


def test_its_python_is_python(facts):
    text = write_model_card(replace(facts, program="network.pt2", onnx="network.onnx"))
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 4
    names = {}
    for block in blocks:
        code = compile(block, "card", "exec")
        if block.startswith("classes"):
            exec(code, names)  # noqa: S102 - that it runs is what is tested
    assert tuple(names["classes"]) == CLASSES


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def test_the_loading_code_predicts_as_the_checkpoint_does(tmp_path, name):
    own, size = None, SIZES.get(name, 64)
    if name != "efficientnet_lite0":
        own = tmp_path / "weights.pt"
        torch.save(random_network(name, size=size).state_dict(), own)
    backbone = load_backbone(name, input_size=size, weights=own)
    head = build_head(HeadLayout(backbone.feature_dim, 16, 3), seed=0)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, backbone, head, CheckpointMetadata(CLASSES, "job-1", "ab" * 32, {}))
    names = {}
    exec(loading_code(facts_of(backbone, head, checkpoint=str(path))), names)  # noqa: S102
    generator = np.random.default_rng(0)
    pictures = [Image.fromarray(generator.integers(0, shade, (70, 90, 3)).astype(np.uint8)) for shade in (60, 120, 250)]
    batch = torch.stack([names["prepare"](picture) for picture in pictures])
    assert torch.equal(batch, torch.stack([backbone.preprocess(picture) for picture in pictures]))
    with torch.no_grad():
        found = names["network"](batch).softmax(dim=1)
    expected = load_checkpoint(path).predict(pictures)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert len(expected.unique(dim=0)) == 3
