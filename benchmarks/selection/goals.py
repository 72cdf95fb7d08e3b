"""What the strategies must reach, beside what they did."""

# ruff: noqa: RUF001 - the sign of minus is meant

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from benchmarks.judging import Verdict
from benchmarks.paper.claims import interval, points
from benchmarks.selection.contenders import BALANCED, COVERAGE, FITTED, MEDOIDS, Contender
from benchmarks.selection.findings import Measured, mean_gain, uniform_at
from benchmarks.selection.setting import FEW, MANY
from ot3l_core.finetune.evaluation import summarise

LABELLED: Final = {50: 16.0, 100: 9.0, 200: 5.0, 500: 2.5, 1000: 1.5}
LABEL_FREE: Final = {50: 12.0, 100: 6.0, 200: 3.0, 500: 1.0, 1000: 0.5}
"""Points above random choice that the mean over the data sets must gain, by budget."""

_FEWEST_SETS, _FEWEST_SEEDS = 4, 5


def judge(measured: Sequence[Measured]) -> list[Verdict]:
    """All goals that the budgets of the run have a bearing on; ``met`` is None for what is reported beside them."""
    return [
        *_breadth(measured),
        *_mean_gains(measured, FITTED, LABELLED, asked=True),
        *_everywhere(measured, FITTED),
        *_few_for_many(measured, FITTED),
        *_mean_gains(measured, COVERAGE, LABEL_FREE, asked=True),
        *_mean_gains(measured, MEDOIDS, LABELLED, asked=False),
        *_transport(measured),
    ]


def _breadth(measured: Sequence[Measured]) -> list[Verdict]:
    if not measured:
        return []
    n_seeds = min(len({seed for _, _, seed in one.cells}) for one in measured)
    met = len(measured) >= _FEWEST_SETS and n_seeds >= _FEWEST_SEEDS
    asked = f"at least {_FEWEST_SETS} data sets and {_FEWEST_SEEDS} seeds"
    return [Verdict(asked, f"{len(measured)} data sets, {n_seeds} seeds", met)]


def _mean_gains(
    measured: Sequence[Measured], contender: Contender, goals: dict[int, float], *, asked: bool
) -> list[Verdict]:
    verdicts = []
    for budget, goal in goals.items():
        arm, base = (contender, budget), uniform_at(budget)
        found = mean_gain(measured, arm, base)
        if found is not None:
            count = sum(one.has(arm, base) for one in measured)
            target = f"`{contender.name}` at {budget}: mean gain ≥ {goal:g} points"
            verdicts.append(
                Verdict(target, f"{points(found)} over {count} data sets", found.mean >= goal if asked else None)
            )
    return verdicts


def _everywhere(measured: Sequence[Measured], contender: Contender) -> list[Verdict]:
    verdicts = []
    for budget in LABELLED:
        arm, base = (contender, budget), uniform_at(budget)
        gains = {one.subject.title: summarise(one.gains(arm, base)) for one in measured if one.has(arm, base)}
        if gains:
            missed = [f"{title} ({points(gain)})" for title, gain in gains.items() if interval(gain)[0] <= 0]
            target = f"`{contender.name}` at {budget}: each data set's 95% interval above 0"
            verdicts.append(Verdict(target, _stated(len(gains), missed), not missed))
    return verdicts


def _few_for_many(measured: Sequence[Measured], contender: Contender) -> list[Verdict]:
    arm, base = (contender, FEW), uniform_at(MANY)
    found = mean_gain(measured, arm, base)
    if found is None:
        return []
    both = [one for one in measured if one.has(arm, base)]
    ours, theirs = (fmean(one.accuracy(side).mean for one in both) for side in (arm, base))
    differences = {one.subject.title: summarise(one.gains(arm, base)) for one in both}
    missed = [f"{title} ({points(gain)})" for title, gain in differences.items() if gain.mean < 0]
    return [
        Verdict(
            f"`{contender.name}` at {FEW} reaches random choice at {MANY}, mean over the data sets",
            f"{ours:.1f} against {theirs:.1f}, {points(found)}; reached on {_stated(len(both), missed)}",
            found.mean >= 0,
        )
    ]


def _transport(measured: Sequence[Measured]) -> list[Verdict]:
    """Medoids are the plain quantisation; the other one has equal masses."""
    verdicts = []
    for budget in LABELLED:
        found = mean_gain(measured, (BALANCED, budget), (MEDOIDS, budget))
        if found is not None:
            target = f"at {budget}: balanced optimal transport − plain quantisation (`medoids`)"
            verdicts.append(Verdict(target, points(found), None))
    return verdicts


def _stated(count: int, missed: Sequence[str]) -> str:
    return f"{count - len(missed)} of {count}" + (f"; not {', '.join(missed)}" if missed else "")
