"""The paper's claims against what was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from math import inf

from benchmarks.paper.findings import Findings, Target, Work
from benchmarks.paper.plan import MS, RS, SD
from benchmarks.paper.values import MARGIN, PaperValues
from ot3l_core.finetune.evaluation import Spread

ORDER_OF_STRATEGIES = "MS > SD > RS"
MARGIN_OVER_RS = f"MS lies above RS by {MARGIN[0]} to {MARGIN[1]} points"
ORDER_OF_DISTANCES = "figure 2's order of distances"


class Verdict(StrEnum):
    """What the figures say of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNSETTLED = "not settled"
    UNKNOWN = "not judged"


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim about a data set, the verdict, and one sentence that gives its reason."""

    claim: str
    about: str
    verdict: Verdict
    sentence: str


def judge(findings: Findings, paper: PaperValues) -> list[Judged]:
    """All claims: the first two for every target, the third for all data sets together."""
    return [
        *(judge_order(target) for target in findings.targets),
        *(judge_margin(target) for target in findings.targets),
        judge_distances(findings.distances, paper.figure_2),
    ]


def judge_order(target: Target) -> Judged:
    """MS > SD > RS: both differences must lie above 0 with their whole 95% intervals."""
    upper, lower = target.difference(MS, SD), target.difference(SD, RS)
    if upper is None or lower is None:
        return Judged(ORDER_OF_STRATEGIES, target.title, Verdict.UNKNOWN, "A job that it needs did not finish.")
    parts = [_above_zero(upper), _above_zero(lower)]
    sentence = (
        f"MS − SD is {points(upper)} points ({_SIGN_WORDS[parts[0]]}), "  # noqa: RUF001 - the sign of minus is meant
        f"SD − RS is {points(lower)} ({_SIGN_WORDS[parts[1]]})."  # noqa: RUF001
    )
    return Judged(ORDER_OF_STRATEGIES, target.title, _both(parts), sentence)


def judge_margin(target: Target) -> Judged:
    """MS over RS by 5.5 to 8.4 points: the 95% interval must lie inside the range."""
    found = target.difference(MS, RS)
    if found is None:
        return Judged(MARGIN_OVER_RS, target.title, Verdict.UNKNOWN, "A job that it needs did not finish.")
    low, high = interval(found)
    stated = f"MS − RS is {points(found)} points"  # noqa: RUF001
    if low > MARGIN[1]:
        verdict, why = Verdict.FAILS, "more than the range allows"
    elif high < 0:
        verdict, why = Verdict.FAILS, "MS lies below RS"
    elif high < MARGIN[0]:
        verdict, why = Verdict.FAILS, "less than the range asks for"
    elif MARGIN[0] <= low and high <= MARGIN[1]:
        verdict, why = Verdict.HOLDS, "inside the range"
    elif found.half_width is None:
        verdict, why = Verdict.UNSETTLED, "one seed has no interval"
    else:
        verdict, why = Verdict.UNSETTLED, "the interval lies across an end of the range"
    return Judged(MARGIN_OVER_RS, target.title, verdict, f"{stated}: {why}.")


def judge_distances(distances: Work | None, paper: Mapping[frozenset[str], float]) -> Judged:
    """Whether pairs of data sets come in the paper's order; certificates decide, not the values.

    Of two pairs that differ in the paper, ours are in its order where the one's upper bound lies below the other's
    lower bound.
    """
    about = "all data sets"
    if distances is None:
        return Judged(ORDER_OF_DISTANCES, about, Verdict.UNKNOWN, "There are no distances.")
    bounds = bounds_of_pairs(distances)
    known = sorted((pair for pair in bounds if pair in paper), key=lambda pair: (paper[pair], sorted(pair)))
    compared = [(near, far) for near, far in combinations(known, 2) if paper[near] < paper[far]]
    if not compared:
        sentence = "The paper's values are not known to us (`--paper-values` fills them in)."
        return Judged(ORDER_OF_DISTANCES, about, Verdict.UNKNOWN, sentence)
    agree = sum(bounds[near][1] < bounds[far][0] for near, far in compared)
    contradict = sum(bounds[far][1] < bounds[near][0] for near, far in compared)
    sentence = (
        f"Of {len(compared)} comparisons between distances, {agree} come out as in the paper, {contradict} the other "
        f"way round, and {len(compared) - agree - contradict} are closer than the certificates can tell."
    )
    verdict = Verdict.FAILS if contradict else Verdict.HOLDS if agree == len(compared) else Verdict.UNSETTLED
    return Judged(ORDER_OF_DISTANCES, about, verdict, sentence)


def bounds_of_pairs(distances: Work) -> dict[frozenset[str], tuple[float, float]]:
    """Lower and upper bound of the distance between any two data sets."""
    result = distances["result"]
    return {
        frozenset({result["datasets"][one], result["datasets"][other]}): (
            result["lower"][one][other],
            result["upper"][one][other],
        )
        for one, other in combinations(range(len(result["datasets"])), 2)
    }


def interval(spread: Spread) -> tuple[float, float]:
    """Ends of the 95% interval; everything for a single seed."""
    half_width = inf if spread.half_width is None else spread.half_width
    return spread.mean - half_width, spread.mean + half_width


def points(spread: Spread) -> str:
    """A difference in words: its mean with a sign, and its 95% interval."""
    half_width = "" if spread.half_width is None else f" ± {spread.half_width:.1f}"
    return f"{spread.mean:+.1f}{half_width}".replace("-", "−")  # noqa: RUF001


_SIGN_WORDS = {Verdict.HOLDS: "above 0", Verdict.FAILS: "below 0", Verdict.UNSETTLED: "not settled"}


def _above_zero(spread: Spread) -> Verdict:
    low, high = interval(spread)
    return Verdict.HOLDS if low > 0 else Verdict.FAILS if high < 0 else Verdict.UNSETTLED


def _both(parts: list[Verdict]) -> Verdict:
    if Verdict.FAILS in parts:
        return Verdict.FAILS
    return Verdict.UNSETTLED if Verdict.UNSETTLED in parts else Verdict.HOLDS
