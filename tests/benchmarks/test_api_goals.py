"""The judge of the API's benchmark: what reaches a goal, and what misses it by a little."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.api.goals import (
    MORE_BYTES,
    STREAM_BYTES,
    Measured,
    Streams,
    Told,
    judge_errors,
    judge_growth,
    judge_rate,
    judge_streams,
)
from benchmarks.api.load import Load
from benchmarks.api.report import Report, as_markdown
from benchmarks.judging import Verdict

RATES = st.floats(min_value=1.0, max_value=1e6)


def load(rate, *, errors=0):
    return Load(requests=round(rate * 1e3), seconds=1e3, bytes=0, p50=0.01, p99=0.02, errors=errors)


def streams(**more):
    told = (Told(100, 0.5, 100 * STREAM_BYTES), Told(100, 0.5, 100 * STREAM_BYTES))
    return replace(Streams(count=100, before=0, told=told, n_errors=0), **more)


@given(RATES, st.floats(min_value=0.1, max_value=10.0))
def test_a_rate_is_judged_by_its_share_of_the_peers(rate, least):
    peers = [load(rate)] * 3
    assert judge_rate("ours", least, [load(1.01 * rate * least)] * 3, peers, "peer").met is True
    assert judge_rate("ours", least, [load(0.98 * rate * least)] * 3, peers, "peer").met is False


def test_of_several_rounds_the_median_counts_and_each_is_compared_with_its_own():
    ours, peers = [load(rate) for rate in (1, 80, 500)], [load(rate) for rate in (100, 100, 500)]
    verdict = judge_rate("ours", 0.7, ours, peers, "peer")
    assert (verdict.met, verdict.measured) == (True, "0.80 (0.01 to 1.00)")


@given(st.floats(min_value=1e-4, max_value=1.0), st.floats(min_value=0.1, max_value=3.0))
def test_growth_is_judged_question_by_question(empty, ratio):
    slow, alike = judge_growth({"slow": (empty, empty * ratio), "alike": (empty, empty)})
    assert slow.met is (empty * ratio / empty <= 1.5)
    assert alike.met is True


@pytest.mark.parametrize(
    ("more", "missed"),
    [
        ({}, ()),
        ({"told": (Told(99, 0.5, 0), Told(100, 0.5, 0))}, ("all 100 streams are told",)),
        ({"told": (Told(100, 0.5, 0), Told(100, 5.1, 0))}, ("within 5 s",)),
        ({"told": (Told(100, 0.5, 101 * STREAM_BYTES),) * 2}, ("memory",)),
        ({"told": (Told(100, 0.5, 0), Told(100, 0.5, 101 * MORE_BYTES))}, ("more after",)),
    ],
)
def test_streams_must_all_be_told_soon_and_in_bounded_memory(more, missed):
    found = [verdict.target for verdict in judge_streams(streams(**more)) if not verdict.met]
    assert len(found) == len(missed)
    assert all(part in target for part, target in zip(missed, found, strict=True))


def test_no_error_is_only_good_where_there_were_requests():
    assert judge_errors(0, 10).met is True
    assert judge_errors(1, 10).met is False
    assert judge_errors(0, 0).met is False


def test_a_report_names_what_was_missed_and_only_where_it_is_judged():
    case = Measured("read", "polls", [Verdict("a", "1", met=True), Verdict("b", "2", met=False)])
    machine = dict.fromkeys(("date", "processor", "cores", "memory_gib", "system", "python"), "x")
    report = Report(machine, [case], is_judged=True, seconds=60.0, busy=(0.0, 1.0))
    assert report.missed == ["read: b: 2"]
    assert "| read | b | 2 | **no** |" in as_markdown(report)
    assert replace(report, is_judged=False).missed == []
