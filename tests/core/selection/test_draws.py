"""How a budget is divided among classes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ot3l_core.selection.draws import even_quotas

labels = st.lists(st.integers(0, 5), max_size=60).map(lambda values: np.array(values, dtype=np.int64))


@given(pool=labels, budget=st.integers(0, 80), seed=st.integers(0, 99))
def test_quotas_are_even_as_far_as_classes_last_and_fill_the_budget(pool, budget, seed):
    quotas = even_quotas(pool, 6, budget, seed)
    counts = np.bincount(pool, minlength=6)
    assert quotas.shape == (6,)
    assert quotas.sum() == min(budget, len(pool))
    assert (quotas <= counts).all()
    assert (quotas >= np.minimum(counts, quotas.max() - 1)).all()
    assert np.array_equal(quotas, even_quotas(pool, 6, budget, seed))


@given(pool=labels, budget=st.integers(0, 80), seed=st.integers(0, 99))
def test_quotas_read_how_many_there_are_and_not_where(pool, budget, seed):
    assert np.array_equal(even_quotas(pool, 6, budget, seed), even_quotas(pool[::-1], 6, budget, seed))


def test_every_class_gets_the_remainder_under_some_seed():
    pool = np.repeat(np.arange(4), 5)
    lucky = {int(even_quotas(pool, 4, 9, seed).argmax()) for seed in range(40)}
    assert lucky == {0, 1, 2, 3}
