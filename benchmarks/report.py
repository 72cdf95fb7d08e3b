"""What was measured, on the terminal and in files."""

# ruff: noqa: RUF001 - the sign of multiplication is meant

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.growth import Growth, plot
from benchmarks.judging import Judged, Verdict, ours_at
from benchmarks.running import Result

_READING = """\
Every line is a process of its own on the same data. Seconds are the median of the repeats after a warm-up; `×` is how
many times as long as OT3L with as many threads; error is the largest relative error of a distance (class pairs) or the
relative error of the transport cost, against the run named *reference*; peak is all memory of the process. `≈` marks
seconds scaled up from a sample of pairs. The floor is what this machine's best measured rates allow. How to run it, and
what is unfair to whom: [../README.md](../README.md).
"""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything of one run.

    Attributes:
        machine: What it ran on.
        ceilings: Flops and bytes a second, at best.
        versions: Of the libraries.
        cases: Those that ran.
        growths: The curves, where they ran.
        is_judged: Whether targets count.
        seconds: The whole run.
    """

    machine: dict[str, str | int | float]
    ceilings: dict[str, float]
    versions: dict[str, str]
    cases: Sequence[Judged]
    growths: Sequence[Growth]
    is_judged: bool
    seconds: float

    @property
    def missed(self) -> list[str]:
        """The targets that were not reached."""
        return [
            f"{case.name}: {verdict.target}: {verdict.measured}"
            for case in self.cases
            for verdict in case.verdicts
            if self.is_judged and verdict.met is False
        ]


def show_case(console: Console, case: Judged, *, is_judged: bool) -> None:
    """Print one case as soon as it is over."""
    table = Table(title=case.title, title_justify="left", caption=floor_text(case), caption_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in {"who", "says"} else "right")
    for cells in _rows(case):
        table.add_row(*cells)
    console.print(table)
    for verdict in case.verdicts:
        console.print(f"  {_mark(verdict, is_judged=is_judged)} {verdict.target}: {verdict.measured}", highlight=False)


def show_growth(console: Console, growths: Sequence[Growth]) -> None:
    """Print the exponents."""
    table = Table(title="Growth: exponents", title_justify="left")
    for heading in _GROWTH_HEADINGS:
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for growth in growths:
        table.add_row(*_growth_cells(growth))
    console.print(table)


def write(report: Report, folder: Path) -> None:
    """Write ``ot.json``, ``ot.md`` and, where there are curves, ``ot-growth.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ot.json").write_text(json.dumps(_as_json(report), indent=1, allow_nan=False) + "\n")
    (folder / "ot.md").write_text(_as_markdown(report))
    if report.growths:
        plot(report.growths, folder / "ot-growth.svg")


_HEADINGS = ("who", "threads", "seconds", "best", "×", "error", "NaN", "peak MB", "says")
_GROWTH_HEADINGS = ("what", "against", "from", "to", "seconds", "time exponent", "memory exponent")


def floor_text(case: Judged) -> str:
    """The floor of a case and how far ours is above it."""
    if isnan(case.floor_seconds):
        return ""
    ours = [result for result in case.results if result.contender.is_ours]
    most = max(ours, key=lambda result: result.contender.threads)
    return (
        f"floor {case.floor_seconds:.3g} s, OT3L at {most.median / case.floor_seconds:.1f} of it; {case.floor_formula}"
    )


def _rows(case: Judged) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for result, error in zip(case.results, case.errors, strict=True):
        who, threads = result.contender.name, str(result.contender.threads)
        if result.failure:
            rows.append((who, threads, "-", "-", "-", "-", "-", "-", result.failure))
            continue
        ratio = "" if result.contender.is_ours else f"{result.median / ours_at(case.results, result).median:.1f}"
        seconds = f"{'≈ ' if result.sampled else ''}{result.median:.3g}"
        cells = (
            seconds,
            f"{min(result.seconds):.3g}",
            ratio,
            "reference" if result is case.reference else _error_text(error),
            str(result.n_nan),
        )
        rows.append((who, threads, *cells, f"{result.peak_bytes / 1e6:.0f}", _facts_text(result)))
    return rows


def _error_text(error: float) -> str:
    return "" if isnan(error) else f"{error:.1e}"


def _facts_text(result: Result) -> str:
    value = "" if isnan(result.value) else f"value {result.value:.6g}, "
    facts = (
        f"{name} {fact:.4g}" if isinstance(fact, float) else f"{name} {fact}" for name, fact in result.facts.items()
    )
    return (value + ", ".join(facts)).strip(", ").replace("_", " ")


def _mark(verdict: Verdict, *, is_judged: bool) -> str:
    if verdict.met is None or not is_judged:
        return "·"
    return "[green]✓[/]" if verdict.met else "[red]✗[/]"


def _growth_cells(growth: Growth) -> tuple[str, ...]:
    curve = growth.curve
    seconds = f"{growth.seconds[0]:.3g} to {growth.seconds[-1]:.3g}"
    exponents = (f"{growth.time_exponent:.2f}", f"{growth.memory_exponent:.2f}")
    return (curve.title, curve.axis, str(curve.sizes[0]), str(curve.sizes[-1]), seconds, *exponents)


def _as_markdown(report: Report) -> str:
    machine, ceilings = report.machine, report.ceilings
    lines = [
        "# The transport engine beside its peers",
        "",
        f"{machine['date']}, {machine['processor']}, {machine['threads']} of {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, device {machine['device']}, Python {machine['python']}; "
        + ", ".join(f"{name} {version}" for name, version in report.versions.items())
        + f". Measured ceilings: {ceilings['bytes'] / 1e9:.1f} GB/s read, {ceilings['flops_float32'] / 1e9:.0f} and "
        f"{ceilings['flops_float64'] / 1e9:.0f} Gflop/s in float32 and float64. "
        f"{report.seconds / 60:.0f} minutes in all.",
        "",
        _READING,
        "## Targets",
        "",
        *_table(("case", "must reach", "measured", "met"), _verdict_rows(report)),
    ]
    for case in report.cases:
        lines += ["", f"## {case.title}", "", *_table(_HEADINGS, _rows(case)), "", floor_text(case)]
    if report.growths:
        cells = [_growth_cells(growth) for growth in report.growths]
        lines += ["", "## Growth", "", "![time and memory against size](ot-growth.svg)", ""]
        lines += _table(_GROWTH_HEADINGS, cells)
    return "\n".join(lines) + "\n"


def _verdict_rows(report: Report) -> list[tuple[str, ...]]:
    words = {True: "yes", False: "**no**", None: ""}
    return [
        (case.name, verdict.target, verdict.measured, words[verdict.met if report.is_judged else None])
        for case in report.cases
        for verdict in case.verdicts
    ]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = (" | ".join(cell.replace("|", "\\|") for cell in cells) for cells in rows)
    return [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|", *(f"| {cells} |" for cells in escaped)]


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "machine": report.machine,
        "ceilings": report.ceilings,
        "versions": report.versions,
        "seconds": report.seconds,
        "judged": report.is_judged,
        "missed": report.missed,
        "cases": [_case_as_json(case) for case in report.cases],
        "growth": [
            {
                "title": growth.curve.title,
                "axis": growth.curve.axis,
                "sizes": growth.curve.sizes,
                "seconds": [_number(seconds) for seconds in growth.seconds],
                "bytes": growth.n_bytes,
                "time_exponent": _number(growth.time_exponent),
                "memory_exponent": _number(growth.memory_exponent),
            }
            for growth in report.growths
        ],
    }


def _case_as_json(case: Judged) -> dict[str, Any]:
    return {
        "name": case.name,
        "title": case.title,
        "floor_seconds": _number(case.floor_seconds),
        "floor_formula": case.floor_formula,
        "verdicts": [
            {"target": verdict.target, "measured": verdict.measured, "met": verdict.met} for verdict in case.verdicts
        ],
        "results": [
            {
                "who": result.contender.name,
                "run": result.contender.run,
                "settings": result.contender.settings,
                "threads": result.contender.threads,
                "seconds": result.seconds,
                "sampled": result.sampled,
                "error": _number(error),
                "nan": result.n_nan,
                "value": _number(result.value),
                "peak_bytes": result.peak_bytes,
                "held_bytes": result.held_bytes,
                "facts": {name: _number(fact) for name, fact in result.facts.items()},
                "failure": result.failure,
            }
            for result, error in zip(case.results, case.errors, strict=True)
        ],
    }


def _number(value: Any) -> Any:  # noqa: ANN401 - JSON's numbers and all else
    """JSON knows no NaN."""
    return None if isinstance(value, float) and not isfinite(value) else value
