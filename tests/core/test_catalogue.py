import ast
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from torch.overrides import TorchFunctionMode

import ot3l_core.catalogue
from ot3l_core.catalogue import CATALOGUE, DEFAULT_BACKBONE, WeightsSource, find_backbone
from ot3l_core.errors import UnknownBackboneError
from ot3l_core.finetune.architectures import build_network, cut_network
from ot3l_core.finetune.published import describe

TORCHVISION = {entry.name: entry for entry in CATALOGUE if entry.source is WeightsSource.TORCHVISION}


class ShapesOnly(TorchFunctionMode):
    """Makes weights without memory, so that the largest networks are built in no time."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = {**(kwargs or {}), "device": "meta"} if function is torch.empty else (kwargs or {})
        return function(*args, **kwargs)


def test_it_lists_exactly_the_installed_torchvision_classifiers():
    assert set(TORCHVISION) == set(torchvision.models.list_models(module=torchvision.models))


def test_its_crop_sizes_are_those_of_the_default_weights():
    crops = {name: torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size for name in TORCHVISION}
    assert {name: [entry.input_size] for name, entry in TORCHVISION.items()} == crops


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_its_feature_dims_are_what_the_cut_networks_give(entry):
    published = describe(entry)
    with ShapesOnly():
        network = build_network(published.architecture)
    architecture = published.cut(network)
    _, dense = cut_network(network, architecture)
    first = next(iter(dense), None)
    assert entry.feature_dim == (first.in_features if first is not None else 1000)


def test_the_default_is_in_it():
    assert find_backbone(DEFAULT_BACKBONE).name == DEFAULT_BACKBONE


@pytest.mark.parametrize("typo", ["resnet-18", "ResNet18", "resnet_18"])
def test_a_near_miss_is_answered_with_the_name_that_was_meant(typo):
    with pytest.raises(UnknownBackboneError, match="'resnet18'") as caught:
        find_backbone(typo)
    assert caught.value.field == "backbone"


def test_a_far_miss_is_answered_with_the_default():
    with pytest.raises(UnknownBackboneError, match=DEFAULT_BACKBONE):
        find_backbone("zzz")


def test_it_needs_nothing_but_the_standard_library_and_the_errors():
    tree = ast.parse(Path(ot3l_core.catalogue.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - set(sys.stdlib_module_names) == {"ot3l_core.errors"}
