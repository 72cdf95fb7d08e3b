"""The paper's tables in Markdown."""

# ruff: noqa: RUF001 - the signs of minus and multiplication are meant

from collections.abc import Sequence
from math import sqrt

from benchmarks.paper.claims import interval, points
from benchmarks.paper.findings import ZERO_SHOT, Findings, Target
from benchmarks.paper.plan import COMPARISONS, EXTENDED, EXTENDED_HEAD, MS, SELECTIONS, Arm, Plan
from benchmarks.paper.values import PaperValues
from ot3l_core.finetune.evaluation import Spread
from ot3l_core.names import Phase

NONE_KNOWN = "–"
FAILED = "failed"
_NOT_RUN = "not run"
_Z = 1.959964
"""Of the normal distribution, for 95%."""


def zero_shot_table(findings: Findings, paper: PaperValues) -> list[str]:
    """Table II: the backbone as it is, its predictions mapped to the target's classes."""
    rows = []
    for target in findings.targets:
        sizes = target.sizes
        n_test = sizes[2] if sizes else 0
        ours = [_share_text(target.zero_shot(name), n_test) for name in ZERO_SHOT]
        rows.append((target.title, _sizes_text(target), *ours, _known(paper.table_2.get(target.name))))
    return table(("target", "classes, pool / test", "conditional map", "nearest class", "paper"), rows)


def selection_table(findings: Findings, paper: PaperValues) -> list[str]:
    """Table III: the strategies, each target's row of the paper below ours."""
    rows = []
    for target in findings.targets:
        accuracies = [_spread_text(target.accuracy(arm)) for arm in SELECTIONS]
        differences = [_difference_text(target.difference(*pair)) for pair in COMPARISONS]
        rows.append((target.title, _sizes_text(target), _trained_text(target, MS), *accuracies, *differences))
        known = paper.table_3.get(target.name, {})
        theirs = [_known(known.get(arm.name)) for arm in SELECTIONS]
        gaps = [
            f"{known[one.name] - known[other.name]:+.1f}".replace("-", "−")
            if one.name in known and other.name in known
            else NONE_KNOWN
            for one, other in COMPARISONS
        ]
        rows.append(("— in the paper", "", "", *theirs, *gaps))
    headings = [f"{one.title} − {other.title}" for one, other in COMPARISONS]
    return table(("target", "classes, pool / test", "labels", *(arm.title for arm in SELECTIONS), *headings), rows)


def extended_table(findings: Findings, paper: PaperValues, plan: Plan) -> list[str]:
    """Table IV: a selection and the head, against all of the pool with the head or with more layers."""
    rows = []
    for target in findings.targets:
        ran = EXTENDED in plan.arms
        rows.append(
            (
                target.title,
                f"{_spread_text(target.accuracy(MS))} ({_trained_text(target, MS)})",
                f"{_spread_text(target.accuracy(EXTENDED_HEAD))} ({_trained_text(target, EXTENDED_HEAD)})",
                _spread_text(target.accuracy(EXTENDED)) if ran else _NOT_RUN,
                _difference_text(target.difference(EXTENDED, MS)) if ran else _NOT_RUN,
                *(_seconds_text(target, arm) for arm in (MS, EXTENDED_HEAD, EXTENDED)),
                _known(paper.table_4.get(target.name)),
            )
        )
    headings = ("MS, head (labels)", "all, head (labels)", "all, fine-tuned", "all, fine-tuned − MS")
    seconds = ("MS, s", "all, head, s", "all, fine-tuned, s")
    return table(("target", *headings, *seconds, "paper"), rows)


def distances_table(findings: Findings, paper: PaperValues) -> list[str]:
    """Figure 2's row of the source: the targets from near to far, with certificates."""
    if findings.distances is None:
        return ["There are no distances; see the failures."]
    result = findings.distances["result"]
    lower, upper = result["lower"][0], result["upper"][0]
    order = sorted(range(1, len(upper)), key=lambda index: upper[index])
    titles = {target.name: target.title for target in findings.targets}
    rows = []
    for place, index in enumerate(order):
        name = result["datasets"][index]
        following = order[place + 1] if place + 1 < len(order) else None
        settled = "" if following is None else "yes" if upper[index] < lower[following] else "no"
        rows.append(
            (
                str(place + 1),
                titles[name],
                f"{upper[index]:.4f}",
                f"{lower[index]:.4f} to {upper[index]:.4f}",
                "yes" if result["converged"][0][index] else "no",
                settled,
                _known(paper.figure_2.get(frozenset({result["datasets"][0], name}))),
            )
        )
    headings = ("", "target", "distance from the source", "certified", "converged", "nearer than the next", "paper")
    return table(headings, rows)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    escaped = (" | ".join(cell.replace("|", "\\|") for cell in cells) for cells in rows)
    return [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|", *(f"| {cells} |" for cells in escaped)]


def wilson(share: float, n: int) -> tuple[float, float]:
    """Ends of Wilson's (1927) 95% score interval of a share that was seen in n samples."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half_width = _Z / (1 + _Z**2 / n) * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return middle - half_width, middle + half_width


def _sizes_text(target: Target) -> str:
    if target.sizes is None:
        return FAILED
    n_classes, n_pool, n_test = target.sizes
    return f"{n_classes}, {n_pool:,} / {n_test:,}"


def _trained_text(target: Target, arm: Arm) -> str:
    return f"{target.jobs[arm.name]['result']['selection']['size']:,}" if arm.name in target.jobs else FAILED


def _seconds_text(target: Target, arm: Arm) -> str:
    if arm.name not in target.jobs:
        return NONE_KNOWN
    # Embedding is shared by all jobs of a target: the first one would seem slow.
    timings = target.jobs[arm.name]["timings"]
    return f"{sum(seconds for phase, seconds in timings.items() if phase != Phase.EMBEDDING):.0f}"


def _spread_text(spread: Spread | None) -> str:
    if spread is None:
        return FAILED
    return f"{spread.mean:.1f}" + ("" if spread.half_width is None else f" ± {spread.half_width:.1f}")


def _difference_text(spread: Spread | None) -> str:
    if spread is None:
        return FAILED
    low, high = interval(spread)
    return f"**{points(spread)}**" if low > 0 or high < 0 else points(spread)


def _share_text(percent: float | None, n_test: int) -> str:
    if percent is None:
        return FAILED
    low, high = wilson(percent / 100, n_test)
    return f"{percent:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _known(value: float | None) -> str:
    return NONE_KNOWN if value is None else f"{value:g}"
