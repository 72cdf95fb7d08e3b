from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ot3l_core.errors import WeightsUnavailableError
from ot3l_core.finetune.weights import copy_weights, digest_of, load_weights


def small_network():
    layer = nn.Sequential(OrderedDict(norm1=nn.BatchNorm2d(2), conv1=nn.Conv2d(2, 3, 1)))
    return nn.Sequential(OrderedDict(denselayer1=layer))


def test_old_names_and_auxiliary_classifiers_in_published_files_are_understood():
    published, network = small_network(), small_network()
    state = {
        name.replace("norm1", "norm.1").replace("conv1", "conv.1"): tensor
        for name, tensor in published.state_dict().items()
    }
    load_weights(network, {**state, "aux1.fc.weight": torch.zeros(1)}, file_name="published.pth")
    assert digest_of("", network.state_dict()) == digest_of("", published.state_dict())


@pytest.mark.parametrize("edit", [lambda state: state.popitem(), lambda state: state.update(extra=torch.zeros(1))])
def test_missing_and_surplus_weights_are_refused(edit):
    network = small_network()
    state = dict(network.state_dict())
    edit(state)
    with pytest.raises(WeightsUnavailableError, match=r"mine\.pt"):
        load_weights(network, state, file_name="mine.pt")


@pytest.mark.parametrize(
    "edit",
    [
        lambda state: state.popitem(),
        lambda state: state.update(extra=torch.zeros(1)),
        lambda state: state.update({"denselayer1.conv1.bias": torch.zeros(4)}),
        lambda state: state.update({"denselayer1.conv1.bias": torch.zeros(3, dtype=torch.float64)}),
    ],
)
def test_nothing_is_copied_unless_everything_fits(edit):
    network, state = small_network(), small_network().state_dict()
    before = digest_of("", network.state_dict())
    edit(state)
    with pytest.raises(ValueError, match=r"differ|must be"):
        copy_weights(network, state)
    assert digest_of("", network.state_dict()) == before


@given(
    shape=st.sampled_from([(4, 3), (3, 4), (12,)]),
    kind=st.sampled_from([torch.float32, torch.int32]),
    name=st.sampled_from(["a", "b"]),
    text=st.sampled_from(["", "x"]),
)
def test_the_digest_tells_shape_type_name_and_text_apart(shape, kind, name, text):
    found = digest_of(text, {name: torch.zeros(shape, dtype=kind)})
    same = (shape, kind, name, text) == ((4, 3), torch.float32, "a", "")
    assert (found == digest_of("", {"a": torch.zeros(4, 3)})) == same


def test_the_digest_does_not_see_memory_layout_or_order():
    pictures = torch.arange(24.0).view(1, 2, 3, 4)
    strided = pictures.contiguous(memory_format=torch.channels_last)
    flag = torch.tensor(True)
    assert digest_of("", {"a": pictures, "b": flag}) == digest_of("", {"b": flag, "a": strided})
