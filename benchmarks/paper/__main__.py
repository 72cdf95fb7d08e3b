"""Run the paper's tables II to IV and its figure 2 over the data sets that a folder holds.

Exit code 1 if something failed: the rest is reported all the same. 2 if nothing could be run.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from app.client import ClientError
from app.local.children import StartError
from app.local.service import stop_on_signals
from benchmarks.machine import describe
from benchmarks.paper.catalogue import SOURCE, TARGETS, look
from benchmarks.paper.claims import Judged
from benchmarks.paper.experiments import run_all
from benchmarks.paper.plan import PRESETS, FineTuning, Plan
from benchmarks.paper.report import Circumstances, write
from benchmarks.paper.service import console, reach
from benchmarks.paper.values import KNOWN, PaperValuesError, with_file
from ot3l_core.names import Precision

_ALL, _NONE = "all", "none"
_OUTPUT = Path("docs/results/paper")


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for."""
    options = parse(arguments)
    try:
        return _run(options, command_of(arguments))
    except KeyboardInterrupt:
        console.print("\n[yellow]interrupted; everything is stopped, nothing is written")
        return 130
    except (PaperValuesError, ClientError, StartError) as error:
        console.print(f"{error}", style="red", markup=False)
        return 2


def _run(options: argparse.Namespace, command: str) -> int:
    paper = with_file(KNOWN, options.paper_values) if options.paper_values else KNOWN
    wanted = [target for target in TARGETS if not options.target or target.name in options.target]
    sources, no_source = look(options.data, [SOURCE])
    targets, missing = look(options.data, wanted)
    for lost in (*no_source, *missing):
        console.print(f"missing {lost.title}: looked for {lost.looked_for}", style="yellow", markup=False)
    if not sources or not targets:
        console.print("[red]the experiments need ImageNet, or a subset of it, and one of the targets")
        return 2
    plan = plan_of(options)
    with reach(options.url, data=options.data, keep=options.keep) as client:
        findings = run_all(client, plan, sources[0], targets, missing)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    circumstances = Circumstances(
        command=command,
        preset=options.preset,
        plan=plan,
        paper=paper,
        machine=describe(cores, "cpu"),
        own_service=options.url is None,
    )
    _show(write(findings, circumstances, options.output))
    console.print(f"{findings.seconds:.0f} s in all; results in {options.output.name}/")
    return 1 if findings.failures else 0


def plan_of(options: argparse.Namespace) -> Plan:
    """The preset, with what was given beside it."""
    given: dict[str, Any] = vars(options)
    plan = replace(PRESETS[options.preset], **{f.name: given[f.name] for f in fields(Plan) if f.name in given})
    if given.get("blocks") == _NONE:
        return replace(plan, fine_tuning=None)
    tuning = plan.fine_tuning or FineTuning(blocks=None, epochs=1, n_seeds=1)
    blocks = given.get("blocks", tuning.blocks)
    tuning = replace(tuning, blocks=None if blocks == _ALL else blocks, epochs=given.get("epochs", tuning.epochs))
    return replace(plan, fine_tuning=tuning)


def command_of(arguments: Sequence[str]) -> str:
    """How to run the same again, without the places that are this machine's alone."""
    places = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for place in ("--data", "--output", "--keep", "--url", "--paper-values"):
        places.add_argument(place)
    _, others = places.parse_known_args(arguments)
    return "make paper DATA=data" + (f" ARGS={shlex.quote(shlex.join(others))}" if others else "")


def _show(verdicts: Sequence[Judged]) -> None:
    for judged in verdicts:
        console.print(f"{judged.claim}, {judged.about}: [bold]{judged.verdict.value}[/]. {judged.sentence}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Options, of which settings of the plan are there only where they were given."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder that holds the data sets")
    add("--output", type=Path, default=_OUTPUT, help=f"folder to write to; default: {_OUTPUT}")
    add("--preset", choices=PRESETS, default="quick", help="where the settings below begin; default: quick")
    add("--target", action="append", default=[], choices=[t.name for t in TARGETS], help="only this; may be repeated")
    add("--url", default=None, help="a running service with DATA among its roots; default: one is started")
    add("--keep", type=Path, default=None, help="folder where the started service keeps features for the next run")
    add("--paper-values", type=Path, default=None, help="JSON file with more of the paper's values")
    add("--backbone", help="a name from GET /backbones")
    add("--input-size", type=_size, help=f"side of the network's input in pixels, or {_ALL}: the backbone's own")
    add("--precision", type=Precision, choices=list(Precision), help="arithmetic of the forward pass")
    add("--budget", type=int, help="samples to select; at most half of the pool")
    add("--seeds", type=lambda text: tuple(range(int(text))), help="how many")
    add("--pool-size", type=_size, help=f"samples of each target to select from, or {_ALL}")
    add("--test-size", type=_size, help=f"samples of each target to evaluate on, or {_ALL}")
    add("--source-size", type=_size, help=f"samples of the source to measure from, or {_ALL}")
    add("--alpha", type=float, help="share of set difference in the mix")
    add("--class-fraction", type=float, help="share of the classes that count as far, and as near")
    add("--blocks", type=_blocks, help=f"last blocks to fine-tune, {_ALL}, or {_NONE}")
    add("--epochs", type=int, help="of fine-tuning")
    return parser.parse_args(arguments)


def _size(text: str) -> int | None:
    return None if text == _ALL else int(text)


def _blocks(text: str) -> int | str:
    return text if text in {_ALL, _NONE} else int(text)


if __name__ == "__main__":
    stop_on_signals()
    sys.exit(main(sys.argv[1:]))
