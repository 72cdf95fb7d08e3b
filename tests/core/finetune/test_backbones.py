import pickle
from argparse import Namespace

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file
from torchvision.models import get_model

from ot3l_core.errors import CheckpointError, InvalidSettingError, UnknownBackboneError, WeightsUnavailableError
from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.checkpoints import CheckpointMetadata, load_checkpoint, save_checkpoint
from ot3l_core.finetune.heads import HeadLayout, build_head

from .conftest import published_path

METADATA = CheckpointMetadata(("cat", "dog", "fish"), "job-1", "ab" * 32, {})


def old_densenet_names(state):
    """The names that torchvision's published DenseNet files still have."""
    return {
        name.replace("norm1", "norm.1").replace("norm2", "norm.2").replace("conv1", "conv.1").replace("conv2", "conv.2")
        if "denselayer" in name
        else name: tensor
        for name, tensor in state.items()
    }


def with_auxiliary_classifiers(state):
    state["aux1.fc2.weight"] = torch.zeros(1000, 1024)
    return state


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        pytest.param("densenet121", old_densenet_names, marks=pytest.mark.slow),
        pytest.param("googlenet", with_auxiliary_classifiers, marks=pytest.mark.slow),
        ("mnasnet0_5", lambda state: state),
        ("mobilenet_v3_small", lambda state: state),
    ],
)
def test_published_weights_give_the_published_networks_outputs(publish, name, edit):
    network = publish(name, edit=edit)
    backbone = load_backbone(name, input_size=64)
    pictures = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(pictures)
    found = backbone.source_outputs(backbone.embed(pictures))
    # Another memory layout moves the last bits.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3 * expected.std().item())
    assert backbone.n_source_outputs == 1000


@pytest.mark.parametrize("size", [None, 64])
def test_efficientnet_lite_comes_with_its_weights_and_keeps_silent(capfd, size):
    backbone = load_backbone("efficientnet_lite0", input_size=size)
    side = backbone.preprocessing.input_size
    features = backbone.embed(torch.zeros(1, 3, side, side))
    assert (side, features.shape, backbone.feature_dim) == (size or 224, (1, 1280), 1280)
    assert backbone.source_outputs(features).softmax(dim=1).sum().item() == pytest.approx(1)
    assert capfd.readouterr() == ("", "")


def test_the_digest_follows_weights_and_preprocessing(publish):
    publish("shufflenet_v2_x0_5")
    digest = load_backbone("shufflenet_v2_x0_5").digest
    assert load_backbone("shufflenet_v2_x0_5").digest == digest
    assert load_backbone("shufflenet_v2_x0_5", crop_fraction=1.0).digest != digest
    assert load_backbone("shufflenet_v2_x0_5", input_size=64).digest != digest
    publish("shufflenet_v2_x0_5", seed=1)
    assert load_backbone("shufflenet_v2_x0_5").digest != digest


@pytest.mark.parametrize("name", ["mnasnet0_5", "squeezenet1_1"])
def test_weights_may_come_from_a_file_of_the_users(publish, tmp_path, name):
    state = publish(name).state_dict()
    published_path(name).unlink()
    save_file(state, tmp_path / "mine.safetensors")
    torch.save(state, tmp_path / "mine.pt")
    digests = {load_backbone(name, weights=tmp_path / file).digest for file in ("mine.safetensors", "mine.pt")}
    assert len(digests) == 1


def of_other_classes(name, n_classes, seed=0):
    """An uncut network as a user would have trained it."""
    torch.manual_seed(seed)
    if name.startswith("efficientnet_lite"):
        return EfficientNet.from_name(name.replace("_", "-"), num_classes=n_classes, image_size=64).eval()
    return get_model(name, num_classes=n_classes).eval()


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v3_small", "resnet18", "squeezenet1_1"])
def test_a_users_network_may_tell_any_number_of_classes_apart(tmp_path, name):
    network = of_other_classes(name, 7)
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    backbone = load_backbone(name, input_size=64, weights=tmp_path / "mine.pt")
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(pictures)
    found = backbone.source_outputs(backbone.embed(pictures))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3 * expected.std().item())
    assert backbone.n_source_outputs == 7
    assert backbone.feature_dim == backbone.embed(pictures).shape[1]
    head = build_head(HeadLayout(backbone.feature_dim, 16, 3), seed=0)
    save_checkpoint(tmp_path / "saved", backbone, head, METADATA)
    assert load_checkpoint(tmp_path / "saved").architecture == backbone.architecture


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "args": Namespace(lr=0.1), "optimizer": {"state": {}}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model_ema": {}, "model": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"n_averaged": torch.tensor(3), **{f"module.{name}": tensor for name, tensor in state.items()}},
    ],
)
def test_what_training_scripts_wrap_around_weights_is_taken_off(publish, tmp_path, wrap):
    state = publish("resnet18").state_dict()
    torch.save(wrap(state), tmp_path / "mine.pt")
    expected = load_backbone("resnet18").digest
    assert load_backbone("resnet18", weights=tmp_path / "mine.pt").digest == expected


def test_the_digest_follows_a_users_weights(tmp_path):
    for seed, n_classes in ((0, 7), (1, 7), (0, 8)):
        state = of_other_classes("squeezenet1_1", n_classes, seed).state_dict()
        torch.save(state, tmp_path / f"{seed}-{n_classes}.pt")
    assert len({load_backbone("squeezenet1_1", weights=path).digest for path in tmp_path.iterdir()}) == 3


def test_a_checkpoint_of_ours_goes_on_from_its_head(backbone, tmp_path):
    head = build_head(HeadLayout(backbone.feature_dim, 16, 3, "Tanh"), seed=0).eval()
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, backbone, head, METADATA)
    found = load_backbone(backbone.name, weights=path)
    pictures = torch.randn(2, 3, 32, 32)
    features = backbone.embed(pictures)
    assert torch.equal(found.embed(pictures), features)
    assert torch.equal(found.source_outputs(features), head(features))
    assert (found.preprocessing, found.n_source_outputs) == (backbone.preprocessing, 3)
    assert [type(layer).__name__ for layer in found.penultimate] == ["Linear", "Tanh"]
    assert found.digest != backbone.digest
    assert load_backbone(backbone.name, weights=path, input_size=64).preprocessing.input_size == 64


def test_a_checkpoint_of_ours_that_does_not_serve_is_refused(backbone, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, backbone, build_head(HeadLayout(backbone.feature_dim, 16, 3), seed=0), METADATA)
    with pytest.raises(WeightsUnavailableError, match="'mobilenet_v3_small'") as caught:
        load_backbone("resnet18", weights=path)
    assert caught.value.field == "weights"
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="altered"):
        load_backbone(backbone.name, weights=path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda _: {},
        lambda state: (
            {f"teacher.{name}": tensor for name, tensor in state.items()}
            | {f"student.{name}": tensor for name, tensor in state.items()}
        ),
        lambda state: {name.replace("classifier.1", "classifier.1.0"): tensor for name, tensor in state.items()},
        lambda state: state | {"classifier.1.weight": torch.zeros(())},
    ],
)
def test_a_users_weights_that_do_not_fit_are_refused_by_field(tmp_path, edit):
    state = of_other_classes("squeezenet1_1", 7).state_dict()
    torch.save(edit(dict(state)), tmp_path / "mine.pt")
    with pytest.raises(WeightsUnavailableError, match=r"mine\.pt") as caught:
        load_backbone("squeezenet1_1", weights=tmp_path / "mine.pt")
    assert caught.value.field == "weights"


def test_features_do_not_change_and_cannot_be_trained(backbone):
    pictures = torch.randn(2, 3, 32, 32)
    first = backbone.embed(pictures)
    assert torch.equal(backbone.to("cpu").embed(pictures), first)
    assert not first.requires_grad
    assert not any(parameter.requires_grad for parameter in backbone.network.parameters())


def test_the_penultimate_layer_and_its_activation_are_offered_as_a_start(backbone, publish):
    assert [type(layer).__name__ for layer in backbone.penultimate] == ["Linear", "Hardswish"]
    assert backbone.penultimate[0].in_features == backbone.feature_dim
    publish("shufflenet_v2_x0_5")
    assert load_backbone("shufflenet_v2_x0_5").penultimate is None


def test_missing_weights_say_what_to_put_where(torch_home):
    with pytest.raises(
        WeightsUnavailableError, match=r"resnet18-f37072fd\.pth.*no route to host.*TORCH_HOME"
    ) as caught:
        load_backbone("resnet18")
    assert str(torch_home) not in str(caught.value)


class Payload:
    def __reduce__(self):
        return (pytest.fail, ("the weights file ran code",))


@pytest.mark.parametrize(
    "content", [b"", b"not weights", pickle.dumps(Payload(), 2), pickle.dumps({"fc.weight": Payload()}, 2)]
)
def test_a_file_that_is_no_state_dict_is_refused_without_running_it(torch_home, content):
    path = published_path("resnet18")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(WeightsUnavailableError, match="resnet18-f37072fd"):
        load_backbone("resnet18")


def test_a_saved_object_that_is_no_state_dict_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "mine.pt")
    with pytest.raises(WeightsUnavailableError, match="one state dict"):
        load_backbone("resnet18", weights=tmp_path / "mine.pt")


def test_another_networks_weights_are_refused(publish):
    publish("squeezenet1_1")
    with pytest.raises(WeightsUnavailableError, match="not those of this network"):
        load_backbone("squeezenet1_0", weights=published_path("squeezenet1_1"))


def test_a_users_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(WeightsUnavailableError, match=r"mine\.safetensors"):
        load_backbone("resnet18", weights=tmp_path / "mine.safetensors")


def test_a_size_that_the_network_cannot_take_is_refused_by_name(publish):
    publish("squeezenet1_1")
    with pytest.raises(InvalidSettingError, match="leave input_size at 224") as caught:
        load_backbone("squeezenet1_1", input_size=16)
    assert caught.value.field == "input_size"


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownBackboneError):
        load_backbone("resnet19")
