"""What a run found, in files: to read, to compute with, and to look at."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.judging import Verdict
from benchmarks.paper.claims import points
from benchmarks.paper.tables import table
from benchmarks.selection.contenders import UNIFORM, Contender
from benchmarks.selection.figure import draw
from benchmarks.selection.findings import Arm, Measured, mean_gain, uniform_at, wins
from benchmarks.selection.goals import judge
from benchmarks.selection.setting import BACKBONE, PRECISION, SHARE, Setting

_READING = f"""\
Each seed draws its own random {SHARE:.0%} of the pool, the same for everybody, chooses from it, trains a head with the
default settings on what was chosen and tests it on pictures that nothing else sees. Accuracy is in percent, mean over
the seeds ± half of the 95% t interval. Gains are in points over `uniform` at the same budget, paired by seed; wins are
the seeds in which the gain is above 0. Budgets above half of what a seed draws are left out. A budget counts the labels
that a head is trained on: strategies marked *labels* read those of the whole pool while they choose, so that they
spare training and not labelling; the others spare both."""
_DISTANCES = """\
W2 between what a seed drew and what was chosen from it, with the best weights, in units of the selection space; mean
over the seeds. Labels do not count here."""
WORDS = {True: "holds", False: "**missed**", None: ""}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one run.

    Attributes:
        command: How to run it again.
        machine: What it ran on.
        setting: How.
        contenders: Who took part.
        measured: The data sets that are over.
        failures: Those that could not be read, by title, and why.
    """

    command: str
    machine: Mapping[str, str | int | float]
    setting: Setting
    contenders: Sequence[Contender]
    measured: Sequence[Measured]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """The goals beside what was reached."""
        return judge(self.measured)

    @property
    def missed(self) -> list[Verdict]:
        """Goals that were not reached."""
        return [verdict for verdict in self.verdicts if verdict.met is False]


def write(report: Report, folder: Path) -> None:
    """Write ``selection`` as ``.md``, ``.json`` and, where there is something to draw, ``.png`` and ``.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "selection.json", json.dumps(_as_json(report), indent=1, allow_nan=False) + "\n")
    if any(one.budgets for one in report.measured):
        paths = [folder / f"selection{suffix}" for suffix in (".png", ".svg")]
        beside = [path.with_name(f".{path.name}.part{path.suffix}") for path in paths]
        draw(beside, report.measured, caption=f"{_how(report.setting)}; mean and 95% t interval")
        for made, path in zip(beside, paths, strict=True):
            made.replace(path)
    _replace(folder / "selection.md", as_markdown(report))


def as_markdown(report: Report) -> str:
    """The report."""
    lines = [
        "# Strategies at equal budgets",
        "",
        _circumstances(report),
        "",
        _READING,
        "",
        "## Goals",
        "",
        *table(("goal", "measured", ""), [(v.target, v.measured, WORDS[v.met]) for v in report.verdicts]),
        "",
        "![accuracy by budget](selection.svg)",
        "",
        "## All data sets",
        "",
        "Gain over `uniform`, mean over the data sets, with the interval over the seeds, and wins.",
        "",
        *_gains_table(report),
    ]
    for one in report.measured:
        lines += ["", f"## {one.subject.title}", "", _about(one), "", *_accuracies_table(report, one)]
    lines += ["", "## Transport distance from the pool", "", _DISTANCES]
    for one in report.measured:
        lines += ["", f"{one.subject.title}:", "", *_distances_table(report, one)]
    if report.failures:
        lines += ["", "## What could not be read", "", *table(("data set", "why"), list(report.failures.items()))]
    return "\n".join(lines) + "\n"


def _gains_table(report: Report) -> list[str]:
    budgets = sorted({budget for one in report.measured for budget in one.budgets})
    rows = [
        (_name(contender), *(_mean_gain_text(report.measured, (contender, budget)) for budget in budgets))
        for contender in report.contenders
        if contender is not UNIFORM
    ]
    return table(("", *(f"{budget} labels" for budget in budgets)), rows)


def _accuracies_table(report: Report, one: Measured) -> list[str]:
    rows = [
        (_name(contender), *(_accuracy_text(one, (contender, budget)) for budget in one.budgets))
        for contender in report.contenders
    ]
    return table(("", *(f"{budget} labels" for budget in one.budgets)), rows)


def _distances_table(report: Report, one: Measured) -> list[str]:
    rows = [
        (
            _name(contender),
            *(f"{one.distance((contender, b)):.3f}" if one.has((contender, b)) else "" for b in one.budgets),
        )
        for contender in report.contenders
    ]
    return table(("", *map(str, one.budgets)), rows)


def _mean_gain_text(measured: Sequence[Measured], arm: Arm) -> str:
    base = uniform_at(arm[1])
    found = mean_gain(measured, arm, base)
    if found is None:
        return ""
    won, of = wins(measured, arm, base)
    return f"{points(found)} ({won}/{of})"


def _accuracy_text(one: Measured, arm: Arm) -> str:
    if not one.has(arm):
        return ""
    found = one.accuracy(arm)
    text = f"{found.mean:.1f}" + ("" if found.half_width is None else f" ± {found.half_width:.1f}")
    return text if arm[0] is UNIFORM else f"{text}; {_mean_gain_text([one], arm)}"


def _name(contender: Contender) -> str:
    remarks = [word for word, said in (("labels", contender.reads_labels), ("tried", contender.tried)) if said]
    return f"`{contender.name}`" + (f" (*{', '.join(remarks)}*)" if remarks else "")


def _about(one: Measured) -> str:
    developed = "strategies were developed on it" if one.subject.in_development else "no strategy was developed on it"
    return f"{one.n_classes} classes, {one.n_pool:,} pictures to draw from, {one.n_test:,} to test on; {developed}."


def _circumstances(report: Report) -> str:
    machine = report.machine
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores; {_how(report.setting)}. "
        f"`{report.command}`"
    )


def _how(setting: Setting) -> str:
    return f"{BACKBONE}, {setting.input_size} px, {PRECISION.value}, {setting.n_seeds} seeds"


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "command": report.command,
        "machine": dict(report.machine),
        "setting": asdict(report.setting) | {"backbone": BACKBONE, "precision": PRECISION.value, "share": SHARE},
        "verdicts": [asdict(verdict) for verdict in report.verdicts],
        "data_sets": [
            {
                "name": one.subject.name,
                "in_development": one.subject.in_development,
                "n_classes": one.n_classes,
                "n_pool": one.n_pool,
                "n_test": one.n_test,
                "cells": [asdict(one.cells[key]) for key in sorted(one.cells)],
            }
            for one in report.measured
        ],
        "failures": dict(report.failures),
    }


def _replace(path: Path, content: str) -> None:
    """A reader sees the old file or the new one, never a part."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(content)
    beside.replace(path)
