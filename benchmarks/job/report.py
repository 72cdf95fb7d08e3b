"""What was measured of a job, on the terminal and in files."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks.job.cases import Measured
from benchmarks.judging import Verdict

_MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "·"}
_WORDS = {True: "yes", False: "**no**", None: ""}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one run.

    Attributes:
        machine: What it ran on.
        subject: Dataset, backbone, input size and precision, in words.
        cases: Those that ran.
        is_judged: Whether targets count.
        command: What to type to run all cases again; of the data's place only the name.
    """

    machine: dict[str, str | int | float]
    subject: str
    cases: Sequence[Measured]
    is_judged: bool
    command: str

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
    for note in (*_lines(case), *case.notes):
        console.print(f"    {note}", style="dim", highlight=False)


def write(report: Report, folder: Path) -> None:
    """Keep ``job.md`` to read and ``job.json`` with every round."""
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(report) | {"missed": report.missed}
    (folder / "job.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    (folder / "job.md").write_text(_as_markdown(report))


def _as_markdown(report: Report) -> str:
    lines = [
        "# A job beside the bare forward pass and the usual recipe",
        "",
        _circumstances(report),
        "",
        "| case | must reach | measured | met |",
        "|---|---|---|---|",
        *(_row(case, verdict, is_judged=report.is_judged) for case in report.cases for verdict in case.verdicts),
    ]
    for case in report.cases:
        lines += ["", f"## {case.title[0].upper()}{case.title[1:]}", "", *_bullets((*_lines(case), *case.notes))]
    return "\n".join(lines) + "\n"


def _circumstances(report: Report) -> str:
    machine = report.machine
    return (
        f"{machine['date']}, {machine['processor']}, {machine['threads']} of {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; {report.subject}. "
        f"`{report.command}`. What is measured, and what is unfair to whom: [../README.md](../README.md)."
    )


def _row(case: Measured, verdict: Verdict, *, is_judged: bool) -> str:
    return f"| {case.name} | {verdict.target} | {verdict.measured} | {_WORDS[verdict.met if is_judged else None]} |"


def _lines(case: Measured) -> list[str]:
    return [
        f"{name}: median {median(seconds):.2f} s of " + ", ".join(f"{value:.2f}" for value in seconds)
        for name, seconds in case.seconds.items()
    ]


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]
