"""A subsample has the exact size, the same mixture, and every class that fits."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ot3l_core.data.subsample import stratified_subsample
from ot3l_core.errors import InvalidSettingError

labels = st.lists(st.sampled_from([0, 1, 2, 5, 9]), min_size=1, max_size=80).map(lambda v: np.array(v, dtype=np.int64))
sizes = st.integers(1, 100)
seeds = st.integers(0, 2**32 - 1)


@given(labels=labels, size=sizes, seed=seeds)
def test_size_is_exact_and_indices_ascend(labels, size, seed):
    chosen = stratified_subsample(labels, size, seed)
    assert chosen.dtype == np.int64
    assert len(chosen) == min(size, len(labels))
    assert (np.diff(chosen) > 0).all()
    assert np.isin(chosen, np.arange(len(labels))).all()


@given(labels=labels, size=sizes, seed=seeds)
def test_the_same_seed_chooses_the_same(labels, size, seed):
    assert np.array_equal(stratified_subsample(labels, size, seed), stratified_subsample(labels, size, seed))


@given(labels=labels, size=sizes, seed=seeds)
def test_every_class_is_kept_when_there_is_room(labels, size, seed):
    present = set(labels.tolist())
    assume(size >= len(present))
    assert set(labels[stratified_subsample(labels, size, seed)].tolist()) == present


def test_a_rare_class_takes_its_place_from_the_largest():
    labels = np.repeat([0, 1, 2], [1, 90, 9])
    assert np.bincount(labels[stratified_subsample(labels, 10, 0)]).tolist() == [1, 8, 1]


@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=5), size=sizes, seed=seeds)
def test_each_class_is_within_one_of_its_share(counts, size, seed):
    quotas = np.array(counts) * size / sum(counts)
    assume(size < sum(counts) and quotas.min() >= 1)
    labels = np.repeat(np.arange(len(counts)), counts)
    found = np.bincount(labels[stratified_subsample(labels, size, seed)], minlength=len(counts))
    assert (np.abs(found - quotas) < 1).all()


def test_different_seeds_choose_differently_also_among_equal_classes():
    labels = np.arange(50)
    chosen = {tuple(stratified_subsample(labels, 5, seed).tolist()) for seed in range(10)}
    assert len(chosen) == 10


@pytest.mark.parametrize("size", [0, -1])
def test_an_empty_subsample_is_refused(size):
    with pytest.raises(InvalidSettingError, match="at least 1") as refusal:
        stratified_subsample(np.zeros(3, np.int64), size, 0)
    assert refusal.value.field == "size"
