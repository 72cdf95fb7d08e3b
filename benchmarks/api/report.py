"""What was measured of the API, on the terminal and in files."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.api.goals import Measured
from benchmarks.judging import Verdict

_MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "·"}
_WORDS = {True: "yes", False: "**no**", None: ""}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one run.

    Attributes:
        machine: What it ran on.
        cases: Those that ran.
        is_judged: Whether targets count; errors always do.
        seconds: Of the whole.
        busy: Processes that wanted a core at the beginning and at the end, on average over a minute.
    """

    machine: dict[str, str | int | float]
    cases: Sequence[Measured]
    is_judged: bool
    seconds: float
    busy: tuple[float, float]

    @property
    def missed(self) -> list[str]:
        """The targets that were not reached."""
        return [
            f"{case.name}: {verdict.target}: {verdict.measured}"
            for case in self.cases
            for verdict in case.verdicts
            if self.is_judged and verdict.met is False
        ]


def show_case(console: Console, case: Measured, *, is_judged: bool) -> None:
    """Targets beside measured, and what stands behind them."""
    console.print(f"[bold]{case.title}[/]", highlight=False)
    for verdict in case.verdicts:
        mark = _MARKS[verdict.met if is_judged else None]
        console.print(f"  {mark} {verdict.target}: [bold]{verdict.measured}[/]", highlight=False)
    if case.rows:
        table = Table(box=None, padding=(0, 2))
        for place, heading in enumerate(case.headings):
            table.add_column(heading, justify="right" if place else "left", style="dim", header_style="dim")
        for row in case.rows:
            table.add_row(*row)
        console.print(table)
    for note in case.notes:
        console.print(f"    {note}", style="dim", highlight=False)


def write(report: Report, folder: Path) -> None:
    """Keep ``api.md`` to read and ``api.json`` with every round."""
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(report) | {"missed": report.missed}
    (folder / "api.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    (folder / "api.md").write_text(as_markdown(report))


def as_markdown(report: Report) -> str:
    """The whole report."""
    verdicts = [(case, verdict) for case in report.cases for verdict in case.verdicts]
    lines = [
        "# The API under load",
        "",
        _circumstances(report),
        "",
        *_table(("case", "must reach", "measured", "met"), [_cells(report, *judged) for judged in verdicts]),
    ]
    for case in report.cases:
        lines += ["", f"## {case.title[0].upper()}{case.title[1:]}", "", *_table(case.headings, case.rows), ""]
        lines += [f"- {note}" for note in case.notes]
    return "\n".join(lines) + "\n"


def _circumstances(report: Report) -> str:
    machine = report.machine
    busy = " and ".join(f"{load:.1f}" for load in report.busy)
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores for everybody, servers and clients, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; {report.seconds / 60:.0f} "
        f"minutes; load average {busy} at the beginning and at the end. What is measured, and what is unfair to whom: "
        "[../README.md](../README.md)."
    )


def _cells(report: Report, case: Measured, verdict: Verdict) -> tuple[str, ...]:
    return (case.name, verdict.target, verdict.measured, _WORDS[verdict.met if report.is_judged else None])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows)] if rows else []
