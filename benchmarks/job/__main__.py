"""Measure a whole job: targets beside measured, and everything kept.

Exit code 1 where a target is missed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.console import Console

from benchmarks.job.cases import all_cases
from benchmarks.job.product import run_job
from benchmarks.job.report import Report, show_case, write
from benchmarks.job.setting import BACKBONE, INPUT_SIZE, PRECISION, QUICK, Setting, Sizes, find_spec, title_of
from benchmarks.machine import describe
from ot3l_core.data.features import FeatureCache
from ot3l_core.errors import DataError

_RESULTS = Path(__file__).parents[1] / "results"

console = Console() if sys.stdout.isatty() else Console(width=160)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 if a target is missed."""
    options = _options(arguments)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    try:
        report = _measure(options)
    except DataError as error:
        console.print(f"[red]{error}", highlight=False)
        return 2
    folder = options.output or (None if options.quick or options.case else _RESULTS)
    if folder is not None:
        write(report, folder)
    for missed in report.missed:
        console.print(f"[red]missed[/] {missed}", highlight=False)
    return 1 if report.missed else 0


def _measure(options: argparse.Namespace) -> Report:
    spec = find_spec(options.data)
    subject = f"{title_of(spec)}, {BACKBONE} at {INPUT_SIZE} pixels, {PRECISION.value}"
    console.print(subject, highlight=False)
    done = []
    with TemporaryDirectory(prefix="ot3l-bench-") as place:
        folder = Path(place)
        setting = Setting(spec, QUICK if options.quick else Sizes(), torch.get_num_threads(), folder)
        with console.status("warming up"):
            small = Setting(spec, QUICK, setting.threads, folder)
            run_job(small, FeatureCache(folder / "warm-up"), folder / "warm-up.safetensors")
        for name, case in all_cases().items():
            if options.case and name not in options.case:
                continue
            with console.status(name):
                done.append(case(setting))
            show_case(console, done[-1], is_judged=not options.quick)
    command = "make bench-job" + (f" DATA={options.data.name}" if options.data else "")
    return Report(describe(torch.get_num_threads(), "cpu"), subject, done, not options.quick, command)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with a real dataset; default: the built-in mnist-5k")
    parser.add_argument("--quick", action="store_true", help="small sizes, a minute; no target is judged")
    parser.add_argument("--case", action="append", choices=tuple(all_cases()), help="this one only; may be repeated")
    parser.add_argument("--threads", type=int, help="default: as many as torch finds cores")
    parser.add_argument(
        "--output", type=Path, help="folder to write to; default: benchmarks/results, unless some cases only"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
