import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.errors import ShapeMismatchError
from ot3l_core.finetune.zero_shot import conditional_map, nearest_map

seeds = st.integers(0, 2**32 - 1)


def predictions(seed, n=30, n_outputs=7):
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.randn(n, n_outputs, generator=generator).softmax(dim=1)
    return probabilities, torch.randint(0, 4, (n,), generator=generator)


def test_the_conditional_map_is_leeps_empirical_conditional():
    probabilities = torch.tensor([[0.9, 0.1, 0.0], [0.3, 0.7, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0]])
    labels = torch.tensor([0, 0, 1, 1])
    expected = torch.tensor([[1.2 / 2.0, 0.8 / 2.0], [0.8 / 2.0, 1.2 / 2.0], [0.5, 0.5]])
    torch.testing.assert_close(conditional_map(probabilities, labels, 2), expected)


@settings(deadline=None, max_examples=25)
@given(seed=seeds)
def test_a_conditional_map_gives_distributions_that_average_to_the_labels(seed):
    probabilities, labels = predictions(seed)
    found = conditional_map(probabilities, labels, 5)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(7))
    frequencies = torch.bincount(labels, minlength=5) / len(labels)
    torch.testing.assert_close((probabilities @ found).mean(dim=0), frequencies)


def test_sure_predictions_are_renamed():
    labels = torch.tensor([2, 0, 1, 1])
    outputs = torch.tensor([0, 1, 2, 3])
    found = conditional_map(torch.eye(4)[outputs], labels, 3)
    assert torch.equal(found.argmax(dim=1), labels)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, offset=st.floats(-5, 5), factor=st.floats(0.1, 10))
def test_the_nearest_map_ignores_how_compact_each_target_class_is(seed, offset, factor):
    generator = torch.Generator().manual_seed(seed)
    source_map = conditional_map(*predictions(seed), 4)
    distances = 10 + torch.rand(4, 3, generator=generator, dtype=torch.float64)
    found = nearest_map(source_map, distances)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(7))
    changed = distances.clone()
    changed[:, 1] = factor * changed[:, 1] + offset
    torch.testing.assert_close(nearest_map(source_map, changed), found)


def test_the_nearest_map_prefers_the_target_class_at_the_smallest_distance():
    distances = torch.tensor([[1.0, 5.0, 9.0], [9.0, 1.0, 5.0], [5.0, 9.0, 1.0]])
    assert nearest_map(torch.eye(3), distances).argmax(dim=1).tolist() == [0, 1, 2]


def test_one_source_class_says_nothing():
    torch.testing.assert_close(nearest_map(torch.ones(2, 1), torch.tensor([[1.0, 2.0]])), torch.full((2, 2), 0.5))


def test_shapes_that_do_not_fit_are_refused():
    probabilities, labels = predictions(0)
    with pytest.raises(ShapeMismatchError):
        conditional_map(probabilities, labels[1:], 4)
    with pytest.raises(ShapeMismatchError):
        conditional_map(probabilities[:0], labels[:0], 4)
    with pytest.raises(ShapeMismatchError):
        nearest_map(torch.ones(7, 4), torch.ones(3, 2))
