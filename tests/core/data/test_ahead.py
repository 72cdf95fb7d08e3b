from contextlib import closing
from itertools import count, islice
from threading import Barrier, get_ident

import pytest
import torch

from ot3l_core.data.ahead import compute_ahead


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_the_order_of_their_items(threads):
    assert list(compute_ahead(lambda item: item**2, range(50), threads=threads)) == [item**2 for item in range(50)]
    assert list(compute_ahead(abs, [], threads=threads)) == []


def test_several_threads_work_at_once():
    together = Barrier(3)

    def meet(_):
        together.wait(timeout=30)
        return get_ident()

    assert len(set(compute_ahead(meet, range(3), threads=3))) == 3


def test_what_is_prepared_ahead_is_bounded_and_forgotten_when_nobody_wants_it():
    taken = []

    def endless():
        for number in count():
            taken.append(number)
            yield number

    with closing(compute_ahead(str, endless(), threads=2)) as results:
        assert list(islice(results, 10)) == [str(number) for number in range(10)]
    assert len(taken) <= 10 + 4


def test_a_failure_is_raised_where_its_result_is_due():
    results = compute_ahead(lambda item: 1 // item, [3, 1, 0, 1], threads=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_the_callers_own_parallelism_is_left_as_it_was():
    before = torch.get_num_threads()
    list(compute_ahead(lambda item: torch.ones(item).sum(), range(8), threads=2))
    assert torch.get_num_threads() == before
