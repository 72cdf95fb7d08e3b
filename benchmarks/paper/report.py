"""Everything of one run in files: to read, to compute with, and to look at."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.paper.catalogue import DataSet, Found
from benchmarks.paper.claims import Judged, judge
from benchmarks.paper.figures import draw_selections
from benchmarks.paper.findings import Findings, Target, Work
from benchmarks.paper.plan import PRESETS, Plan
from benchmarks.paper.tables import (
    NONE_KNOWN,
    distances_table,
    extended_table,
    selection_table,
    table,
    zero_shot_table,
)
from benchmarks.paper.values import PaperValues, as_json

_FULL = "full"
_TABLE_II = """\
Accuracy in percent without any training on the target, and Wilson's 95% interval over the test images. `conditional
map` averages the backbone's predictions by class of the target, and so reads the labels of the whole pool; `nearest
class` gives every target class its nearest source class, by distances between classes that read these labels too."""
_TABLE_III = """\
Accuracy in percent, mean over the seeds ± half of the 95% t interval. Differences are in points and paired: each seed's
own difference, then mean and interval; **bold** where the interval leaves out 0. `labels` is what was selected: the
budget, or half of the pool where that is less. A seed decides the selection and the training; pool and test images are
the same for all, so no interval covers another draw of test images. `uniform` and `stratified` are not in the paper:
they are what a strategy has to beat. The paper has settings of its own, so that its order and its differences say more
beside ours than its levels."""
_TABLE_IV = """\
MS trains the head on the selected samples; `all` trains on the whole pool. Accuracy and difference as in table III. The
seconds are those of the whole job with all its seeds, without embedding: all jobs of a target share the features."""
_FIGURE_2 = """\
Optimal transport distances between the labelled datasets, without a factor 1/2, on features standardised by the source.
`certified` are a lower bound and the cost of a transport that exists: they bound the distance between the samples that
were measured, not between the distributions that these were drawn from."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a reader must know to judge a run.

    Attributes:
        command: How to run it again.
        preset: Where the settings began.
        plan: The settings.
        paper: What the paper reports.
        machine: What it ran on; where the service was elsewhere, the machine that asked.
        own_service: Whether the service ran on this machine for this run alone.
    """

    command: str
    preset: str
    plan: Plan
    paper: PaperValues
    machine: Mapping[str, str | int | float]
    own_service: bool


def write(findings: Findings, circumstances: Circumstances, folder: Path) -> list[Judged]:
    """Write ``paper.md``, ``paper.json``, ``table3`` and ``figure2`` as PNG and SVG; returns the verdicts."""
    folder.mkdir(parents=True, exist_ok=True)
    verdicts = judge(findings, circumstances.paper)
    content = json.dumps(_as_json(findings, circumstances, verdicts), indent=1, allow_nan=False)
    _replace(folder / "paper.json", f"{content}\n".encode())
    if any(target.jobs for target in findings.targets):
        _draw(findings, circumstances, folder)
    for suffix, picture in findings.heatmaps.items():
        _replace(folder / f"figure2{suffix}", picture)
    _replace(folder / "paper.md", as_markdown(findings, circumstances, verdicts).encode())
    return verdicts


def _draw(findings: Findings, circumstances: Circumstances, folder: Path) -> None:
    paths = [folder / f"table3{suffix}" for suffix in (".png", ".svg")]
    beside = [path.with_name(f".{path.name}.part{path.suffix}") for path in paths]
    plan = circumstances.plan
    size = "its own input size" if plan.input_size is None else f"{plan.input_size} px"
    caption = f"{plan.backbone}, {size}; mean and 95% t interval over the seeds {', '.join(map(str, plan.seeds))}"
    draw_selections(beside, findings.targets, circumstances.paper, caption=caption)
    for made, path in zip(beside, paths, strict=True):
        made.replace(path)


def _replace(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one, never a part."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(content)
    beside.replace(path)


def as_markdown(findings: Findings, circumstances: Circumstances, verdicts: Sequence[Judged]) -> str:
    """The report."""
    plan, paper = circumstances.plan, circumstances.paper
    unknown = f"{NONE_KNOWN}: we do not know the paper's value; `--paper-values FILE` fills it in."
    lines = [
        "# The paper's experiments",
        "",
        _opening(findings, circumstances),
        "",
        "## The claims",
        "",
        *table(("claim", "data set", "verdict", "because"), [_verdict_row(judged) for judged in verdicts]),
        "",
        "## Table II: zero-shot",
        "",
        *zero_shot_table(findings, paper),
        "",
        *(_TABLE_II, unknown),
        "",
        "## Table III: strategies",
        "",
        *selection_table(findings, paper),
        "",
        *(_TABLE_III, unknown),
        "",
        "![Accuracies and paired differences](table3.svg)",
        "",
        "## Table IV: extended fine-tuning",
        "",
        *extended_table(findings, paper, plan),
        "",
        *(_TABLE_IV, _tuning_text(plan), unknown),
        "",
        "## Figure 2: distances",
        "",
        *distances_table(findings, paper),
        "",
        *(_FIGURE_2, unknown),
    ]
    if findings.heatmaps:
        lines += ["", "![Distances between all pairs of datasets](figure2.svg)"]
    lines += ["", "## Data", "", *_data_lines(findings), "", "## Settings", "", *_settings_lines(circumstances)]
    if findings.failures:
        lines += ["", "## What failed", ""]
        lines += table(("what", "why"), [(failure.what, failure.why) for failure in findings.failures])
    return "\n".join(lines) + "\n"


def _opening(findings: Findings, circumstances: Circumstances) -> str:
    machine = circumstances.machine
    where = "" if circumstances.own_service else "asked from "
    return (
        f"`{circumstances.command}`: {machine['date']}, {where}{machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {findings.seconds / 60:.1f} minutes. Everything went over HTTP; every request "
        "and figure is in [paper.json](paper.json)."
    )


def _verdict_row(judged: Judged) -> tuple[str, str, str, str]:
    return judged.claim, judged.about, f"**{judged.verdict.value}**", judged.sentence


def _tuning_text(plan: Plan) -> str:
    if plan.fine_tuning is None:
        return "Fine-tuning below the head was left out (`--blocks none`)."
    blocks = "all blocks" if plan.fine_tuning.blocks is None else f"the last {plan.fine_tuning.blocks} of its blocks"
    return (
        f"`fine-tuned`: the backbone, {blocks}, together with the head; epochs: {plan.fine_tuning.epochs}; seeds: "
        f"{min(plan.fine_tuning.n_seeds, len(plan.seeds))}."
    )


def _data_lines(findings: Findings) -> list[str]:
    rows = [_data_row(findings.source, findings.source_dataset, "source")]
    rows += [_data_row(target.found, target.dataset, "target") for target in findings.targets]
    rows += [(missing.title, "**missing**", f"looked for {missing.looked_for}", "") for missing in findings.missing]
    return table(("data set", "role", "found at", "classes, pool / test"), rows)


def _data_row(found: Found, dataset: Work | None, role: str) -> tuple[str, str, str, str]:
    if dataset is None:
        return found.data_set.title, role, f"`{found.place}`", "failed"
    result = dataset["result"]
    counts = f"{len(result['classes'])}, {result['n_pool']:,} / {result['n_test']:,}"
    return found.data_set.title, role, f"`{found.place}`", counts


def _settings_lines(circumstances: Circumstances) -> list[str]:
    """Every setting, beside what the full preset has: what a quick run leaves out is no secret."""
    here, full = (_flat(plan) for plan in (circumstances.plan, PRESETS[_FULL]))
    rows = [(name.replace("_", " "), here[name], "" if here[name] == full[name] else full[name]) for name in here]
    return table(("setting", f"here (preset `{circumstances.preset}`)", f"preset `{_FULL}`, where it differs"), rows)


def _flat(plan: Plan) -> dict[str, str]:
    tuning = plan.fine_tuning
    return {
        "backbone": plan.backbone,
        "input_size": _size_text(plan.input_size),
        "precision": plan.precision.value,
        "seeds": ", ".join(map(str, plan.seeds)),
        "budget": f"{plan.budget:,}",
        "alpha": f"{plan.alpha:g}",
        "class_fraction": f"{plan.class_fraction:g}",
        **{name: _count_text(getattr(plan, name)) for name in ("pool_size", "test_size", "source_size")},
        "fine_tuned_blocks": "none" if tuning is None else "all" if tuning.blocks is None else str(tuning.blocks),
        "fine_tuned_epochs": "" if tuning is None else str(tuning.epochs),
        "fine_tuned_seeds": "" if tuning is None else str(min(tuning.n_seeds, len(plan.seeds))),
    }


def _size_text(input_size: int | None) -> str:
    return "the backbone's own" if input_size is None else str(input_size)


def _count_text(count: int | None) -> str:
    return "all" if count is None else f"{count:,}"


def _as_json(findings: Findings, circumstances: Circumstances, verdicts: Sequence[Judged]) -> dict[str, Any]:
    return {
        "command": circumstances.command,
        "machine": dict(circumstances.machine),
        "own_service": circumstances.own_service,
        "seconds": round(findings.seconds, 1),
        "preset": circumstances.preset,
        "settings": asdict(circumstances.plan),
        "paper": as_json(circumstances.paper),
        "verdicts": [asdict(judged) for judged in verdicts],
        "failures": [asdict(failure) for failure in findings.failures],
        "missing": [_missing_as_json(missing) for missing in findings.missing],
        "source": _dataset_as_json(findings.source, findings.source_dataset),
        "targets": {target.name: _target_as_json(target) for target in findings.targets},
        "distances": findings.distances
        and {name: findings.distances[name] for name in ("request", "timings", "result")},
    }


def _missing_as_json(missing: DataSet) -> dict[str, Any]:
    return {"name": missing.name, "looked_for": [list(layout.needs) for layout in missing.layouts]}


def _dataset_as_json(found: Found, dataset: Work | None) -> dict[str, Any]:
    registered = dataset and {name: dataset[name] for name in ("digest", "result")}
    return {"request": dict(found.body), "registered": registered}


def _target_as_json(target: Target) -> dict[str, Any]:
    jobs = {
        name: {
            "request": job["request"],
            "timings": job["timings"],
            "selection": job["result"]["selection"],
            "phases": [
                {key: phase[key] for key in ("phase", "accuracy", "macro_f1", "calibration_error")}
                for phase in job["result"]["phases"]
            ],
        }
        for name, job in target.jobs.items()
    }
    return _dataset_as_json(target.found, target.dataset) | {"jobs": jobs}
