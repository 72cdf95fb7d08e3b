"""Measure the transport engine beside its peers: targets beside measured, and everything kept.

Exit code 1 where a target is missed.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.cases import QUICK, Case, Setting, Sizes, all_cases
from benchmarks.growth import Growth, curves, fit
from benchmarks.judging import Judged
from benchmarks.machine import describe
from benchmarks.problem import Problem
from benchmarks.report import Report, show_case, show_growth, write
from benchmarks.running import Contender, Result, measure_machine, run_contender

_RESULTS = Path(__file__).with_name("results")
_GROWTH = "growth"

console = Console() if sys.stdout.isatty() else Console(width=160)


def main() -> int:
    """Run what was asked for; 1 if a target is missed."""
    options = _options()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    sizes = QUICK if options.quick else Sizes()
    setting = Setting(sizes, options.threads or cores, options.device, options.data, options.cache)
    cases = all_cases(setting)
    known = [*(case.name for case in cases), _GROWTH]
    chosen = options.case or known
    if unknown := set(chosen) - set(known):
        console.print(f"[red]no such case: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return 2
    report = measure(setting, [case for case in cases if case.name in chosen], _GROWTH in chosen, not options.quick)
    folder = options.output or (None if options.quick or options.case else _RESULTS)
    if folder is not None:
        write(report, folder)
    for missed in report.missed:
        console.print(f"[red]missed[/] {missed}", highlight=False)
    console.print(f"{report.seconds:.0f} s in all" + ("" if folder is None else f"; results in {folder.name}/"))
    return 1 if report.missed else 0


def measure(setting: Setting, cases: Sequence[Case], with_growth: bool, is_judged: bool) -> Report:  # noqa: FBT001
    """Run the cases one after the other, each on data of its own in a temporary folder."""
    started = time.monotonic()
    ceilings, versions = measure_machine(setting.threads, setting.device)
    done: list[Judged] = []
    growths: list[Growth] = []
    with tempfile.TemporaryDirectory(prefix="ot3l-bench-") as folder:
        path = Path(folder) / "problem.npz"
        for case in cases:
            done.append(_run_case(case, setting, done, path, ceilings))
            show_case(console, done[-1], is_judged=is_judged)
        if with_growth:
            for curve in curves(setting):
                results = []
                for size in curve.sizes:
                    curve.problem(size).save(path)
                    results.append(_run(curve.contender, path, setting, f"growth with {curve.axis} = {size}"))
                growths.append(fit(curve, results))
            show_growth(console, growths)
    machine = describe(setting.threads, setting.device)
    return Report(machine, ceilings, versions, done, growths, is_judged, time.monotonic() - started)


def _run_case(case: Case, setting: Setting, done: Sequence[Judged], path: Path, ceilings: dict[str, float]) -> Judged:
    with console.status(f"{case.name}: making the data"):
        problem: Problem = case.problem()
        problem.save(path)
        del problem
    results = [_run(contender, path, setting, case.name) for contender in case.contenders(done)]
    reference = next(
        (result for result in results if case.reference and result.contender.name.startswith(case.reference)), None
    )
    errors = [float("nan") if reference is None else case.error(result, reference) for result in results]
    floor = case.floor(results)
    verdicts = case.judge(results, errors)
    return Judged(case.name, case.title, results, errors, verdicts, reference, floor.seconds(ceilings), floor.formula)


def _run(contender: Contender, path: Path, setting: Setting, where: str) -> Result:
    with console.status(f"{where}: {contender.name}, {contender.threads} threads"):
        return run_contender(contender, path, setting.device)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, a minute; no target is judged")
    parser.add_argument("--case", action="append", help="run this case only; may be repeated")
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where what can runs")
    parser.add_argument("--data", type=Path, help="folder with real datasets, for the cases on real features")
    parser.add_argument(
        "--cache", type=Path, default=Path(".ot3l/bench-features"), help="folder that keeps real features"
    )
    parser.add_argument(
        "--output", type=Path, help="folder to write to; default: benchmarks/results, unless some cases only"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
