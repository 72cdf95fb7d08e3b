import pytest
import torch
from torch import nn

from ot3l_core.catalogue import find_backbone
from ot3l_core.errors import UnknownBackboneError
from ot3l_core.finetune.architectures import Architecture, build_network, cut_network
from ot3l_core.finetune.published import describe

SIZES = {"maxvit_t": 224, "vit_b_32": 224, "inception_v3": 96}
PAIRS = {"alexnet", "maxvit_t", "mobilenet_v3_small", "vgg11"}
QUICK = ["alexnet", "efficientnet_lite0", "googlenet", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "resnet18"]
QUICK += ["shufflenet_v2_x0_5", "squeezenet1_1"]
LARGE = [
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "inception_v3",
    "maxvit_t",
    "mobilenet_v2",
    "swin_t",
    "vgg11",
]
LARGE += ["vit_b_32"]
FAMILIES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


@pytest.mark.parametrize("name", FAMILIES)
def test_backbone_and_dense_layers_compute_what_the_network_did(name):
    torch.manual_seed(0)
    size = SIZES.get(name, 64)
    published = describe(find_backbone(name), input_size=size)
    network = build_network(published.architecture)
    pictures = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = network(pictures)
        backbone, dense = cut_network(network, published.cut(network))
        features = backbone(pictures)
        found = dense(features)
    assert torch.equal(found, expected)
    assert features.shape == (2, find_backbone(name).feature_dim)
    assert sum(isinstance(layer, nn.Linear) for layer in dense) == (2 if name in PAIRS else name != "squeezenet1_1")


def test_building_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    build_network(Architecture("torchvision", "squeezenet1_1"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture("torchvision", "resnet19"),
        Architecture("efficientnet_lite_pytorch", "efficientnet-lite9"),
        Architecture("os", "system"),
        Architecture("torchvision", "resnet18", {"no_such_argument": True}),
    ],
)
def test_what_cannot_be_built_is_refused(architecture):
    with pytest.raises(UnknownBackboneError):
        build_network(architecture)
