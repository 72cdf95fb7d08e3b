"""Measure what a request to the API costs: targets beside measured, and everything kept.

Exit code 1 where a target is missed.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from app.local.children import StartError
from app.local.service import stop_on_signals
from benchmarks.api.downloads import measure_downloads
from benchmarks.api.goals import Measured
from benchmarks.api.growth import measure_growth
from benchmarks.api.report import Report, show_case, write
from benchmarks.api.setting import QUICK, Sizes
from benchmarks.api.stage import Stage, stage_in
from benchmarks.api.streams import measure_streams
from benchmarks.api.throughput import measure_requests
from benchmarks.machine import describe

_RESULTS = Path(__file__).parents[1] / "results"
CASES: dict[str, Callable[[Stage], Sequence[Measured]]] = {
    "requests": measure_requests,
    "growth": lambda stage: [measure_growth(stage)],
    "streams": lambda stage: [measure_streams(stage)],
    "download": lambda stage: [measure_downloads(stage)],
}

console = Console() if sys.stdout.isatty() else Console(width=160)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 if a target is missed, or if anything failed."""
    options = _options(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    stop_on_signals()
    try:
        report = _measure(options)
    except StartError as error:
        console.print(f"[red]{error}", highlight=False)
        return 2
    folder = options.output or (None if options.quick or options.case else _RESULTS)
    if folder is not None:
        write(report, folder)
    for missed in report.missed:
        console.print(f"[red]missed[/] {missed}", highlight=False)
    return 1 if report.missed else 0


def _measure(options: argparse.Namespace) -> Report:
    began, busy = time.monotonic(), os.getloadavg()[0]
    cases: list[Measured] = []
    with (
        tempfile.TemporaryDirectory(prefix="ot3l-bench-") as folder,
        stage_in(Path(folder), QUICK if options.quick else Sizes()) as stage,
    ):
        for name, measure in CASES.items():
            if options.case and name not in options.case:
                continue
            with console.status(name):
                found = measure(stage)
            for case in found:
                show_case(console, case, is_judged=not options.quick)
            cases += found
    seconds = time.monotonic() - began
    return Report(describe(1, "cpu"), cases, not options.quick, seconds, (busy, os.getloadavg()[0]))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything; no rate is judged, errors are")
    parser.add_argument("--case", action="append", choices=tuple(CASES), help="this one only; may be repeated")
    parser.add_argument(
        "--output", type=Path, help="folder to write to; default: benchmarks/results, unless quick or some cases only"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
