import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ot3l_core.errors import InvalidSettingError
from ot3l_core.finetune.heads import (
    HeadLayout,
    build_head,
    extend_pretrained,
    fold_scale,
    measure_scale,
    unfold_scale,
)

seeds = st.integers(0, 2**32 - 1)


def cloud(seed, n=40, dim=12):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator) * torch.rand(dim, generator=generator) * 5 + 3


@settings(deadline=None, max_examples=25)
@given(seed=seeds, activation=st.sampled_from(["ReLU", "Hardswish", "Tanh"]))
def test_a_folded_head_is_scaling_then_the_head(seed, activation):
    features = cloud(seed)
    scale = measure_scale(features)
    head = build_head(HeadLayout(12, 7, 3, activation), seed=seed)
    torch.testing.assert_close(fold_scale(head, scale)(features), head(scale.apply(features)), rtol=1e-5, atol=1e-6)
    again = unfold_scale(fold_scale(head, scale), scale)
    for name, tensor in head.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(seed=seeds)
def test_scaled_features_are_centred_with_unit_mean_square(seed):
    features = cloud(seed)
    scaled = measure_scale(features).apply(features).double()
    assert scaled.mean(dim=0).abs().max() < 1e-5
    assert scaled.square().mean().item() == pytest.approx(1, abs=1e-5)
    distances = torch.pdist(features.double()) / torch.pdist(scaled)
    torch.testing.assert_close(distances, distances[0].expand_as(distances), rtol=1e-4, atol=0)


def test_equal_samples_scale_to_zero():
    assert measure_scale(torch.ones(5, 3)).apply(torch.ones(5, 3)).count_nonzero() == 0


def test_the_seed_alone_decides_the_weights():
    layout = HeadLayout(12, 7, 3)
    before = torch.get_rng_state()
    first, second, other = (build_head(layout, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_a_pretrained_start_keeps_its_layer_and_activation():
    start = nn.Sequential(nn.Linear(12, 9), nn.Tanh())
    head = extend_pretrained(start, 3, seed=0)
    assert head.layout == HeadLayout(12, 9, 3, "Tanh")
    features = cloud(0)
    assert torch.equal(head(features), head.output(start(features)))


def test_probabilities_are_the_softmax_of_the_logits():
    head = build_head(HeadLayout(12, 7, 3), seed=0)
    torch.testing.assert_close(head.probabilities(cloud(0)), head(cloud(0)).softmax(dim=1))
    assert not head.probabilities(cloud(0)).requires_grad


@pytest.mark.parametrize("change", [{"activation": "Identity"}, {"hidden": 0}, {"n_classes": 0}, {"feature_dim": 0}])
def test_a_layout_that_cannot_be_is_refused_by_name(change):
    with pytest.raises(InvalidSettingError) as caught:
        HeadLayout(**{"feature_dim": 4, "hidden": 4, "n_classes": 2, **change})
    assert [caught.value.field] == list(change)
