"""What a run did and found, on the terminal and in files."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.states import WorkState
from benchmarks.chaos.judge import Harm, Offence
from benchmarks.chaos.plan import Fault, Plan, ShapeName
from benchmarks.chaos.run import Run


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one run.

    Attributes:
        machine: What it ran on.
        shape: What the service stood on.
        seed: What everything was drawn from.
        faults: How often each kind was done.
        failures: Faults that could not be done.
        jobs: How many clients wanted, by how they ended.
        attempts: How often they were begun, in all.
        posts: How many requests it took to submit them.
        offences: What is not as it should be.
        storm_seconds: From the first fault to the last.
        seconds: Of the whole.
    """

    machine: dict[str, str | int | float]
    shape: ShapeName
    seed: int
    faults: dict[Fault, int]
    failures: tuple[str, ...]
    jobs: dict[str, int]
    attempts: int
    posts: int
    offences: tuple[Offence, ...]
    storm_seconds: float
    seconds: float

    @property
    def rows(self) -> list[tuple[str, int]]:
        """The table: faults by kind, then jobs and harms."""
        harms = Counter(offence.harm for offence in self.offences)
        return [
            *((fault.value, count) for fault, count in self.faults.items()),
            ("faults", sum(self.faults.values())),
            ("jobs", sum(self.jobs.values())),
            *((harm.value, harms[harm]) for harm in Harm),
        ]

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, duplicated or wrong, and everything was done that was to be done."""
        return not self.offences and not self.failures


def report_of(
    plan: Plan, run: Run, offences: Sequence[Offence], machine: dict[str, str | int | float], shape: ShapeName
) -> Report:
    """The report of a run."""
    counts = Counter(done.fault for done in run.storm.injected)
    states = Counter(job.state for job in run.facts.jobs)
    deleted = sum(wish.is_deleted for wish in run.facts.wishes)
    return Report(
        machine=machine,
        shape=shape,
        seed=plan.seed,
        faults={fault: counts[fault] for fault in Fault if counts[fault]},
        failures=run.storm.failures,
        jobs={state.value: states[state] for state in WorkState if states[state]}
        | ({"deleted": deleted} if deleted else {}),
        attempts=sum(job.attempt for job in run.facts.jobs),
        posts=sum(wish.n_posts for wish in run.facts.wishes),
        offences=tuple(offences),
        storm_seconds=round(run.storm.seconds, 1),
        seconds=round(run.seconds, 1),
    )


def show(console: Console, report: Report) -> None:
    """The table, and below it every offender."""
    table = Table("", "count")
    n_faults = len(report.faults)
    for number, (name, count) in enumerate(report.rows):
        style = "red" if name in set(Harm) and count else ""
        table.add_row(name, str(count), style=style, end_section=number + 1 in {n_faults, n_faults + 1})
    console.print(table)
    console.print(_circumstances(report), highlight=False)
    for failure in report.failures:
        console.print(f"[red]not done[/] {failure}", highlight=False, markup=True)
    for offence in report.offences:
        console.print(f"[red]{offence.harm.value}[/] {offence.subject}: {offence.what}", highlight=False)


def write(report: Report, folder: Path, name: str = "chaos") -> None:
    """Keep it to read, and as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(report)
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    (folder / f"{name}.md").write_text(as_markdown(report))


def as_markdown(report: Report) -> str:
    """To read."""
    lines = [
        "# Faults",
        "",
        _circumstances(report),
        "",
        "| | count |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in report.rows),
    ]
    if report.offences:
        lines += ["", *(f"- **{found.harm.value}** `{found.subject}`: {found.what}" for found in report.offences)]
    return "\n".join(lines) + "\n"


def _circumstances(report: Report) -> str:
    machine = report.machine
    ended = ", ".join(f"{count} {state}" for state, count in report.jobs.items())
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}; {report.shape.value} shape, seed {report.seed}: "
        f"{report.storm_seconds / 60:.1f} minutes of faults, {report.seconds / 60:.1f} in all. "
        f"Jobs: {ended}; {report.attempts} attempts, {report.posts} submissions. "
        f"`make chaos ARGS='--seed {report.seed}'`"
    )
