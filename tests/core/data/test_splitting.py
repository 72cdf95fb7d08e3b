"""A held-out test split is disjoint, complete, stratified and always the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ot3l_core.data.splitting import stratified_split

labels = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(lambda values: np.array(values, dtype=np.int64))
fractions = st.floats(0, 0.99)


@given(labels=labels, fraction=fractions)
def test_the_splits_share_nothing_and_leave_nothing_out(labels, fraction):
    pool, test = stratified_split(labels, fraction)
    assert sorted([*pool, *test]) == list(range(len(labels)))
    assert (np.diff(pool) > 0).all()
    assert (np.diff(test) > 0).all()


@given(labels=labels, fraction=fractions)
def test_every_class_gives_its_share_and_stays_in_the_pool(labels, fraction):
    _, test = stratified_split(labels, fraction)
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        assert np.sum(labels[test] == label) == min(round(fraction * int(count)), count - 1)


def test_the_split_is_the_same_on_every_machine():
    pool, test = stratified_split(np.repeat([0, 1], 10), 0.3)
    assert test.tolist() == [3, 4, 6, 15, 18, 19]
    assert len(pool) == 14


def test_the_split_does_not_simply_take_the_last():
    _, test = stratified_split(np.zeros(1000, np.int64), 0.2)
    assert 400 < test.mean() < 600
