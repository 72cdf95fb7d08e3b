"""A claim holds, does not hold, or is not settled, and never by a hair."""

import pytest

from benchmarks.paper.claims import Verdict, judge, judge_distances, judge_margin, judge_order
from benchmarks.paper.plan import MS, RS, SD
from benchmarks.paper.values import KNOWN
from tests.benchmarks.conftest import distances, target

HIGH, MIDDLE, LOW = (84, 85, 86), (80, 81, 82), (77, 78, 79)
WIDE = (70, 80, 95)


def strategies(ms, sd, rs):
    return target("cifar10", mixed=ms, set_difference=sd, random_selection=rs)


@pytest.mark.parametrize(
    ("ms", "sd", "rs", "verdict"),
    [
        (HIGH, MIDDLE, LOW, Verdict.HOLDS),
        (HIGH, LOW, MIDDLE, Verdict.FAILS),
        (MIDDLE, HIGH, LOW, Verdict.FAILS),
        (HIGH, MIDDLE, WIDE, Verdict.UNSETTLED),
        (HIGH, MIDDLE, MIDDLE, Verdict.UNSETTLED),
        ((85,), (80,), (78,), Verdict.UNSETTLED),
    ],
)
def test_the_order_of_strategies(ms, sd, rs, verdict):
    assert judge_order(strategies(ms, sd, rs)).verdict is verdict


def test_seeds_are_paired():
    apart = (60, 75, 90)
    judged = judge_order(strategies([v + 4 for v in apart], [v + 2 for v in apart], apart))
    assert judged.verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("ms", "rs", "verdict"),
    [
        ((85.0, 85.1, 85.2), (78.0, 78.1, 78.2), Verdict.HOLDS),
        ((95.0, 95.1, 95.2), (78.0, 78.1, 78.2), Verdict.FAILS),
        ((80.0, 80.1, 80.2), (78.0, 78.1, 78.2), Verdict.FAILS),
        ((70.0, 70.1, 70.2), (78.0, 78.1, 78.2), Verdict.FAILS),
        (WIDE, (73.0, 74.0, 75.0), Verdict.UNSETTLED),
        ((85.0,), (78.0,), Verdict.UNSETTLED),
    ],
)
def test_the_margin_over_random_selection(ms, rs, verdict):
    assert judge_margin(strategies(ms, MIDDLE, rs)).verdict is verdict


def test_a_sentence_states_the_difference_and_its_interval():
    assert "MS − RS is +7.0 ± 2.5 points" in judge_margin(strategies((84, 85, 86), MIDDLE, (78, 78, 78))).sentence  # noqa: RUF001


def test_a_missing_job_is_not_judged():
    broken = target("mnist", mixed=HIGH)
    assert {judge_order(broken).verdict, judge_margin(broken).verdict} == {Verdict.UNKNOWN}


UPPER = [[0, 1.5, 1.8], [1.5, 0, 1.7], [1.8, 1.7, 0]]
LOOSE = [[0, 1.0, 1.6], [1.0, 0, 1.0], [1.6, 1.0, 0]]
NEAR, FAR = frozenset({"imagenet", "cifar10"}), frozenset({"imagenet", "mnist"})


@pytest.mark.parametrize(
    ("lower", "paper", "verdict"),
    [
        (UPPER, {NEAR: 1.0, FAR: 2.0}, Verdict.HOLDS),
        (UPPER, {NEAR: 2.0, FAR: 1.0}, Verdict.FAILS),
        (LOOSE, {NEAR: 1.0, frozenset({"cifar10", "mnist"}): 2.0}, Verdict.UNSETTLED),
        (UPPER, {NEAR: 1.0, FAR: 1.0}, Verdict.UNKNOWN),
        (UPPER, {NEAR: 1.0}, Verdict.UNKNOWN),
        (UPPER, {}, Verdict.UNKNOWN),
    ],
)
def test_the_order_of_distances_is_judged_by_certificates(lower, paper, verdict):
    assert judge_distances(distances(UPPER, lower), paper).verdict is verdict


def test_every_target_gets_a_verdict_on_each_claim(findings):
    judged = judge(findings, KNOWN)
    assert len(judged) == 2 * len(findings.targets) + 1
    assert all(one.sentence.endswith(".") for one in judged)


def test_a_difference_is_the_opposite_of_its_opposite():
    one = strategies(HIGH, WIDE, LOW)
    assert one.difference(MS, SD).mean == pytest.approx(-one.difference(SD, MS).mean)
    assert one.difference(MS, RS).half_width == pytest.approx(one.difference(RS, MS).half_width)
