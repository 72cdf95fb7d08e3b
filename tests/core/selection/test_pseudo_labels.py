"""What stands for classes that nobody has told."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.errors import InvalidSettingError
from ot3l_core.names import PoolLabels
from ot3l_core.selection import default_n_classes, pseudo_labels

seeds = st.integers(0, 999)
STAND_INS = [PoolLabels.CLUSTERS, PoolLabels.PREDICTIONS]


def made_up(seed, n, n_outputs=7):
    """Features, and logits that prefer some classes."""
    generator = torch.Generator().manual_seed(seed)
    preferred = torch.linspace(0, 2, n_outputs)
    return torch.randn(n, 3, generator=generator), torch.randn(n, n_outputs, generator=generator) + preferred


@given(seed=seeds, n=st.integers(1, 50), n_classes=st.integers(1, 60), kind=st.sampled_from(STAND_INS))
@settings(deadline=None)
def test_no_class_is_empty_and_there_are_no_more_than_asked_for(seed, n, n_classes, kind):
    features, outputs = made_up(seed, n)
    found = pseudo_labels(features, outputs, kind=kind, n_classes=n_classes, seed=seed)
    assert (found.dtype, found.shape) == (torch.int64, (n,))
    assert found.unique().tolist() == list(range(int(found.max()) + 1))
    assert int(found.max()) < n_classes
    assert torch.equal(found, pseudo_labels(features, outputs, kind=kind, n_classes=n_classes, seed=seed))


@given(seed=seeds, n_classes=st.integers(1, 8))
@settings(deadline=None)
def test_a_prediction_is_the_likeliest_of_the_most_frequent_classes(seed, n_classes):
    features, outputs = made_up(seed, 40)
    found = pseudo_labels(features, outputs, kind=PoolLabels.PREDICTIONS, n_classes=n_classes, seed=seed)
    times = torch.bincount(outputs.argmax(dim=1), minlength=7).tolist()
    frequent = sorted(sorted(range(7), key=lambda k: -times[k])[:n_classes])
    meant = [max(frequent, key=row.__getitem__) for row in outputs.tolist()]
    assert found.tolist() == [sorted(set(meant)).index(k) for k in meant]


@given(seed=seeds, n_classes=st.integers(1, 8))
@settings(deadline=None)
def test_predictions_go_with_their_samples_wherever_these_stand(seed, n_classes):
    features, outputs = made_up(seed, 40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    one, other = (
        pseudo_labels(x, z, kind=PoolLabels.PREDICTIONS, n_classes=n_classes, seed=0)
        for x, z in ((features, outputs), (features[order], outputs[order]))
    )
    assert torch.equal(other, one[order])


@given(seed=seeds)
@settings(deadline=None, max_examples=30)
def test_clusters_find_groups_that_lie_apart_wherever_their_samples_stand(seed):
    group = torch.arange(40) % 4
    corners = 50 * torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    features, outputs = made_up(seed, 40)
    group, features = group[order], (features + corners[group])[order]
    found = pseudo_labels(features, outputs, kind=PoolLabels.CLUSTERS, n_classes=4, seed=seed)
    assert len({(int(a), int(b)) for a, b in zip(found, group, strict=True)}) == 4


def test_labels_that_are_given_have_no_stand_in():
    with pytest.raises(InvalidSettingError, match="clusters") as caught:
        pseudo_labels(*made_up(0, 5), kind=PoolLabels.GIVEN, n_classes=2, seed=0)
    assert caught.value.field == "pool_labels"


@pytest.mark.parametrize(("n", "expected"), [(1, 2), (29, 2), (30, 3), (999, 99), (1000, 100), (50_000, 100)])
def test_there_are_ten_samples_to_a_class_within_bounds(n, expected):
    assert default_n_classes(n) == expected
