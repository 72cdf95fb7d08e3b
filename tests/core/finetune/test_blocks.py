import pytest
import torch

from ot3l_core.catalogue import find_backbone
from ot3l_core.errors import InvalidSettingError
from ot3l_core.finetune.architectures import build_network, cut_network
from ot3l_core.finetune.blocks import last_blocks, list_blocks, release
from ot3l_core.finetune.published import describe

SIZES = {"maxvit_t": 224, "vit_b_32": 224, "inception_v3": 96}
QUICK = ["efficientnet_lite0", "googlenet", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "resnet18"]
QUICK += ["shufflenet_v2_x0_5", "squeezenet1_1"]
LARGE = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "inception_v3",
    "maxvit_t",
    "mobilenet_v2",
    "swin_t",
    "swin_v2_t",
]
LARGE += ["vgg11", "vit_b_32"]
FAMILIES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


def backbone_layers(name):
    published = describe(find_backbone(name), input_size=SIZES.get(name, 64))
    network = build_network(published.architecture)
    return cut_network(network, published.cut(network))[0]


def random_input(name, n=2):
    size = SIZES.get(name, 64)
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def order_of_use(network, pictures):
    """The names of modules in the order in which they are first entered."""
    used = []
    hooks = [
        layer.register_forward_pre_hook(lambda *_, name=name: used.append(name))
        for name, layer in network.named_modules()
    ]
    with torch.no_grad():
        network(pictures)
    for hook in hooks:
        hook.remove()
    return list(dict.fromkeys(used))


@pytest.mark.parametrize("name", FAMILIES)
def test_blocks_hold_every_parameter_once_and_come_in_the_order_of_their_use(name):
    network = backbone_layers(name)
    blocks = list_blocks(network)
    listed = [parameter for block in blocks for parameter in block.parameters]
    assert sorted(listed) == sorted(parameter for parameter, _ in network.named_parameters())
    assert len(blocks) >= 5
    used = order_of_use(network, random_input(name, 1))
    # An activation may be registered once and used everywhere.
    parts = [part for block in blocks for part in block.parts if list(network.get_submodule(part).parameters())]
    assert parts == sorted(parts, key=used.index)
    assert all(block.name in block.parts for block in blocks)


@pytest.mark.parametrize("name", FAMILIES)
def test_exactly_the_last_blocks_learn_and_the_features_stay_the_same(name):
    network, pictures = backbone_layers(name), random_input(name)
    with torch.no_grad():
        expected = network(pictures)
    blocks = list_blocks(network)
    for count in (1, 3, None):
        network.zero_grad(set_to_none=True)
        chosen = last_blocks(network, count)
        assert chosen == (blocks if count is None else blocks[-count:])
        release(network, chosen)
        recorded = outputs_with_history(network, blocks[: len(blocks) - len(chosen)])
        found = network(pictures)
        # Attention takes another kernel where autograd is off, which moves the last bits.
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        found.square().sum().backward()
        assert not any(recorded)
        learning = {parameter for block in chosen for parameter in block.parameters}
        assert {parameter for parameter, value in network.named_parameters() if value.grad is not None} == learning


def outputs_with_history(network, blocks):
    """Whether autograd remembered how the outputs of these blocks were computed; filled by the next forward pass."""
    recorded = []
    for part in (part for block in blocks for part in block.parts):
        network.get_submodule(part).register_forward_hook(lambda *seen: recorded.append(seen[-1].requires_grad))
    return recorded


@pytest.mark.parametrize(
    ("name", "n_blocks", "first", "last"),
    [
        ("resnet18", 9, ("conv1", "bn1", "relu", "maxpool"), ("layer4.1", "avgpool")),
        ("efficientnet_lite0", 18, ("_conv_stem", "_bn0"), ("_conv_head", "_bn1")),
        ("alexnet", 6, ("features.0", "features.1", "features.2"), ("classifier.1", "classifier.2", "classifier.3")),
        pytest.param(
            "vit_b_32", 13, ("conv_proj",), ("encoder.layers.encoder_layer_11", "encoder.ln"), marks=pytest.mark.slow
        ),
        pytest.param(
            "densenet121",
            62,
            ("features.conv0", "features.norm0"),
            ("features.denseblock4.denselayer16", "features.norm5"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_blocks_are_what_the_networks_authors_call_so(name, n_blocks, first, last):
    blocks = list_blocks(backbone_layers(name))
    assert len(blocks) == n_blocks
    assert blocks[0].parts[: len(first)] == first
    assert blocks[-1].parts[: len(last)] == last


@pytest.mark.parametrize("count", [0, 10, -1])
def test_more_blocks_than_there_are_or_none_are_refused(count):
    with pytest.raises(InvalidSettingError, match="1 to 9 can be trained") as caught:
        last_blocks(backbone_layers("resnet18"), count)
    assert caught.value.field == "blocks"
