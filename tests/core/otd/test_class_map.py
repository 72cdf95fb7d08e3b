"""Laws of the plane that classes are drawn in."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import MissingClassError, ShapeMismatchError
from ot3l_core.otd import class_map

seeds = st.integers(0, 2**32)
sizes = st.integers(1, 7)
few = settings(max_examples=40, deadline=None)


def dataset(n_classes, d, generator, *, rank=None):
    """Two samples of each class and a few more; means of at most this rank."""
    labels = torch.cat([torch.arange(n_classes).repeat(2), torch.randint(n_classes, (5,), generator=generator)])
    centres = torch.randn(n_classes, d, generator=generator, dtype=torch.float64)
    if rank is not None:
        basis = torch.randn(rank, d, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        centres = torch.randn(n_classes, rank, generator=generator, dtype=torch.float64) @ basis
    noise = torch.randn(len(labels), d, generator=generator, dtype=torch.float64) if rank is None else 0.0
    return LabelledSamples(centres[labels] + noise, labels, tuple(str(k) for k in range(n_classes)))


def pair(seed, n_source, n_target, d, *, rank=None):
    generator = torch.Generator().manual_seed(seed)
    return tuple(dataset(count, d, generator, rank=rank) for count in (n_source, n_target))


def means(*datasets):
    return torch.stack([one.features[one.labels == k].mean(0) for one in datasets for k in range(one.n_classes)])


def points(found):
    return torch.cat([found.source, found.target])


def relabelled(samples, order):
    """The same samples, their classes in another order."""
    places = torch.argsort(order)
    return replace(samples, labels=places[samples.labels], classes=tuple(samples.classes[k] for k in order.tolist()))


@few
@given(seed=seeds, n_source=sizes, n_target=sizes, d=sizes)
def test_no_two_points_are_farther_apart_than_their_means(seed, n_source, n_target, d):
    source, target = pair(seed, n_source, n_target, d)
    found = class_map(source, target)
    assert (found.source.shape, found.target.shape) == ((n_source, 2), (n_target, 2))
    assert found.source.dtype == torch.float64
    drawn, real = (torch.cdist(these, these) for these in (points(found), means(source, target)))
    assert (drawn <= real * (1 + 1e-9) + 1e-9).all()
    assert 0 <= found.explained <= 1


@few
@given(seed=seeds, n_source=sizes, n_target=sizes, d=st.integers(2, 9), rank=st.sampled_from([1, 2]))
def test_what_lies_in_a_plane_is_drawn_as_it_is(seed, n_source, n_target, d, rank):
    source, target = pair(seed, n_source, n_target, d, rank=rank)
    found = class_map(source, target)
    drawn, real = (torch.cdist(these, these) for these in (points(found), means(source, target)))
    torch.testing.assert_close(drawn, real, rtol=1e-7, atol=1e-7)
    assert found.explained == pytest.approx(1.0)


def test_a_second_axis_that_is_far_weaker_than_the_first_is_drawn_too():
    features = torch.tensor([[0.0, 0, 0], [1e6, 0, 0], [0, 1e-3, 0], [1e6, 1e-3, 0]], dtype=torch.float64)
    source = LabelledSamples(features, torch.arange(4), tuple("abcd"))
    found = class_map(source, source)
    drawn = torch.cdist(found.source, found.source)
    assert float(drawn[0, 2]) == pytest.approx(1e-3)
    assert float(drawn[0, 1]) == pytest.approx(1e6)


@few
@given(seed=seeds, n_source=sizes, n_target=sizes)
def test_neither_the_order_of_the_classes_nor_a_shift_changes_anything(seed, n_source, n_target):
    source, target = pair(seed, n_source, n_target, 6)
    before = class_map(source, target)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(count, generator=generator) for count in (n_source, n_target)]
    after = class_map(relabelled(source, orders[0]), relabelled(target, orders[1]))
    shift = torch.randn(6, generator=generator, dtype=torch.float64)
    moved = class_map(*(replace(one, features=one.features + shift) for one in (source, target)))
    swapped = class_map(target, source)
    for one, other in (
        (after.source, before.source[orders[0]]),
        (after.target, before.target[orders[1]]),
        (points(moved), points(before)),
        (swapped.target, before.source),
        (swapped.source, before.target),
    ):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    assert after.explained == pytest.approx(before.explained)
    assert moved.explained == pytest.approx(before.explained)


def test_what_is_drawn_is_what_a_decomposition_finds():
    """Wide and narrow, beside the singular values of the centred means."""
    for d in (3, 40):
        source, target = pair(11, 6, 5, d)
        centred = means(source, target)
        centred = centred - centred.mean(0)
        values = torch.linalg.svdvals(centred)
        found = class_map(source, target)
        lengths = points(found).square().sum(0).sqrt()
        torch.testing.assert_close(lengths, values[:2], rtol=1e-9, atol=1e-9)
        assert found.explained == pytest.approx(float(values[:2].square().sum() / values.square().sum()))
        torch.testing.assert_close(points(found).mean(0), torch.zeros(2, dtype=torch.float64))
        assert float((points(found)[:, 0] * points(found)[:, 1]).sum()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_classes_that_are_all_the_same_are_one_point(dtype):
    features = torch.full((6, 4), 0.1, dtype=dtype)
    one = LabelledSamples(features, torch.arange(6) % 3, ("a", "b", "c"))
    found = class_map(one, one)
    assert (points(found) == 0).all()
    assert found.explained == 1


def test_two_classes_or_one_feature_make_a_line():
    for source, target in (pair(3, 1, 1, 5), pair(3, 4, 3, 1)):
        found = class_map(source, target)
        assert (points(found)[:, 1] == 0).all()
        assert (points(found)[:, 0] != 0).any()
        assert found.explained == pytest.approx(1.0)
    source, target = pair(3, 4, 3, 1)
    # With one feature the axis is that feature: greater is further to the right.
    torch.testing.assert_close(
        points(class_map(source, target)).argsort(0)[:, 0], means(source, target)[:, 0].argsort()
    )


def test_what_cannot_be_drawn_is_refused():
    source, target = pair(0, 3, 2, 4)
    with pytest.raises(ShapeMismatchError):
        class_map(source, replace(target, features=target.features[:, :3]))
    with pytest.raises(MissingClassError):
        class_map(source, replace(target, classes=("a", "b", "c")))
