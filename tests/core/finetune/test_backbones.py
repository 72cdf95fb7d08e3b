import pickle

import pytest
import torch
from safetensors.torch import save_file

from ot3l_core.errors import InvalidSettingError, UnknownBackboneError, WeightsUnavailableError
from ot3l_core.finetune.backbones import load_backbone

from .conftest import published_path


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
