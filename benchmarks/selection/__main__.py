"""Measure what strategies gain over random choice on every data set at hand, and judge the goals.

What is finished is kept: a run that was stopped goes on where it was. Exit code 1 where a goal is missed, 2 where there
is nothing to measure.
"""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.machine import describe
from benchmarks.selection.cells import Cell, measure
from benchmarks.selection.contenders import CONTENDERS, Contender
from benchmarks.selection.embedding import embed_source, embed_subject
from benchmarks.selection.findings import Measured
from benchmarks.selection.report import WORDS, Report, write
from benchmarks.selection.setting import BACKBONE, Setting
from benchmarks.selection.subjects import Subject, find_source, find_subjects
from ot3l_core.data.features import FeatureCache
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import CoreError, DatasetNotFoundError
from ot3l_core.finetune.backbones import Backbone, load_backbone
from ot3l_core.progress import ignore_progress

_OUTPUT = Path(__file__).parents[1] / "results" / "selection"
_KEEP = Path(".ot3l/bench-selection")

console = Console() if sys.stdout.isatty() else Console(width=160)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for."""
    options = _options(arguments)
    try:
        report = _run(options, _command(arguments))
    except CoreError as error:
        console.print(f"{error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("\n[yellow]stopped; what was finished is kept")
        return 130
    for verdict in report.verdicts:
        word = WORDS[verdict.met].strip("*")
        console.print(f"{word:>6}  {verdict.target}: {verdict.measured}", markup=False, highlight=False)
    return 1 if report.missed else 0


def _run(options: argparse.Namespace, command: str) -> Report:
    setting = Setting(
        options.pool, options.test, tuple(sorted(set(options.budgets))), options.seeds, options.input_size
    )
    subjects = _chosen(find_subjects(options.data), options)
    backbone = load_backbone(BACKBONE, input_size=setting.input_size)
    cache = FeatureCache(options.keep / "features")
    source = _source(options, backbone, cache)
    contenders = _contenders(has_source=source is not None, tried=options.tried)
    measured: list[Measured] = []
    failures: dict[str, str] = {}
    machine = describe(options.processes, "cpu")
    for subject in subjects:
        started = time.monotonic()
        try:
            measured.append(_measure(subject, source, setting, contenders, backbone, options))
        except CoreError as error:
            failures[subject.title] = str(error)
            console.print(f"{subject.title}: {error}", style="yellow", markup=False)
        else:
            console.print(f"{subject.title}: {time.monotonic() - started:.0f} s", markup=False, highlight=False)
        report = Report(command, machine, setting, contenders, measured, failures)
        write(report, options.output)
    if not measured:
        raise DatasetNotFoundError("no data set could be measured")
    return report


def _measure(
    subject: Subject,
    source: LabelledSamples | None,
    setting: Setting,
    contenders: Sequence[Contender],
    backbone: Backbone,
    options: argparse.Namespace,
) -> Measured:
    cache = FeatureCache(options.keep / "features")
    with console.status(subject.title) as status:
        embedded = embed_subject(
            subject.spec,
            source,
            setting=setting,
            backbone=backbone,
            cache=cache,
            on_progress=lambda share: status.update(f"{subject.title}: embedding, {share:.0%}"),
        )
        budgets = setting.budgets_for(len(embedded.pool))
        cells: dict[tuple[str, int, int], Cell] = {}
        if budgets:
            for some in measure(
                embedded,
                contenders=contenders,
                budgets=budgets,
                seeds=range(setting.n_seeds),
                kept=options.keep / "cells",
                n_processes=options.processes,
            ):
                cells |= {(cell.contender, cell.budget, cell.seed): cell for cell in some}
                status.update(f"{subject.title}: {len(cells)} cells")
    pool, test = embedded.pool, embedded.test
    return Measured(subject, pool.n_classes, len(pool), len(test), budgets, cells)


def _chosen(subjects: Sequence[Subject], options: argparse.Namespace) -> list[Subject]:
    chosen = [
        subject
        for subject in subjects
        if (not options.dataset or subject.name in options.dataset)
        and (subject.in_development or not options.development)
    ]
    if not chosen:
        names = ", ".join(subject.name for subject in subjects) or "none"
        raise DatasetNotFoundError(f"there is no such data set in {options.data.name!r}; there are: {names}")
    return chosen


def _source(options: argparse.Namespace, backbone: Backbone, cache: FeatureCache) -> LabelledSamples | None:
    spec = find_source(options.data) if options.tried else None
    if spec is None:
        return None
    with console.status("embedding the source"):
        return embed_source(spec, backbone=backbone, cache=cache, on_progress=ignore_progress)


def _contenders(*, has_source: bool, tried: bool) -> list[Contender]:
    able = (contender for contender in CONTENDERS.values() if has_source or not contender.needs_source)
    return [contender for contender in able if tried or not contender.tried]


def _command(arguments: Sequence[str]) -> str:
    """How to run the same again, without the places that are this machine's alone."""
    places = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for place in ("--data", "--output", "--keep", "--processes"):
        places.add_argument(place)
    _, others = places.parse_known_args(arguments)
    return "make bench-selection DATA=data" + (f" ARGS={shlex.quote(shlex.join(others))}" if others else "")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    usual = Setting()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of data sets, or one npz or zip file or folder of classes")
    add("--output", type=Path, default=_OUTPUT, help="folder to write to; default: benchmarks/results/selection")
    add("--keep", type=Path, default=_KEEP, help=f"folder that keeps what is finished; default: {_KEEP}")
    add("--dataset", action="append", default=[], help="only this one; may be repeated")
    add("--development", action="store_true", help="only those on which strategies were developed")
    add("--tried", action="store_true", help="also what was tried and is no strategy of the product")
    add("--pool", type=int, default=usual.pool, help="pictures to draw from")
    add("--test", type=int, default=usual.test, help="pictures to test on")
    add("--budgets", type=int, nargs="+", default=usual.budgets, help="labels to spend")
    add("--seeds", type=int, default=usual.n_seeds, help="how many")
    add("--input-size", type=int, default=usual.input_size, help="side of the network's input in pixels")
    add("--processes", type=int, default=os.cpu_count() or 1, help="how many work at a time; default: one a core")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
