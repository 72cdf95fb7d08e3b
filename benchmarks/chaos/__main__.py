"""Do faults to a running service, and judge what became of its work.

Exit code 1 where a job is lost, duplicated or wrong, each of them named.
"""

import argparse
import logging
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from app.local.children import StartError
from app.local.service import stop_on_signals
from benchmarks.chaos.field import can_fill_disks
from benchmarks.chaos.judge import judge
from benchmarks.chaos.plan import ShapeName, draw_plan, faults_of
from benchmarks.chaos.report import report_of, show, write
from benchmarks.chaos.run import SetUpError, run_plan
from benchmarks.chaos.specs import SPECS
from benchmarks.machine import describe

_RESULTS = Path(__file__).parents[1] / "results"

console = Console() if sys.stdout.isatty() else Console(width=160)


def main(arguments: Sequence[str]) -> int:
    """Draw, do, judge and report; 1 if anything is not as it should be."""
    options = _options(arguments)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    console.print(f"seed {seed}", highlight=False)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    logging.getLogger("benchmarks.chaos").setLevel(logging.INFO)
    stop_on_signals()
    folder = options.data_dir or Path(tempfile.mkdtemp(prefix="ot3l-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    plan = draw_plan(
        seed,
        faults=faults_of(options.shape, can_fill_disks=can_fill_disks(folder)),
        specs=tuple(SPECS),
        n_faults=options.faults,
        n_jobs=options.jobs,
        gap_seconds=options.gap,
    )
    try:
        run = run_plan(plan, shape=options.shape, folder=folder)
    except (SetUpError, StartError) as error:
        console.print(f"[red]{error}", highlight=False)
        return 2
    report = report_of(plan, run, judge(run.facts), describe(1, "cpu"), options.shape)
    show(console, report)
    if options.output is not None:
        write(report, options.output)
    console.print(f"every fault with its time: {folder / 'faults.jsonl'}", highlight=False)
    return 0 if report.is_good else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="default: drawn, and printed first")
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--shape", type=ShapeName, choices=tuple(ShapeName), default=ShapeName.PRODUCTION)
    parser.add_argument("--gap", type=float, default=3.4, help="mean seconds from one fault to the next")
    parser.add_argument(
        "--data-dir", type=Path, help="where everything lies, an empty folder; default: a temporary one"
    )
    parser.add_argument("--output", type=Path, default=_RESULTS, help="folder to write the result to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
