"""Compare strategies on your own datasets, over HTTP: one job for each target and strategy, one table at the end.

The datasets are described in a JSON file: ``source`` and each of ``targets`` is a body of ``POST /datasets``.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from client import ServiceError, console, follow, post

from app.embedded import Embedded, stop_on_signals

STRATEGIES = ("set_difference", "random_selection", "mixed", "uniform", "stratified")
ZERO_SHOT = ("zero_shot_conditional", "zero_shot_nearest")


def main() -> int:
    """Run every job and write the table; 0 if all succeeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path, help="JSON file that describes the datasets")
    parser.add_argument("--root", type=Path, required=True, help="folder that the datasets lie below")
    parser.add_argument("--output", type=Path, required=True, help="where to write the table; .json beside .md")
    parser.add_argument(
        "--data-dir", type=Path, help="where the service keeps its features; default: a temporary folder"
    )
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--input-size", type=int, default=112)
    parser.add_argument("--pool-size", type=int, default=6000)
    parser.add_argument("--test-size", type=int, default=2000)
    options = parser.parse_args()
    stop_on_signals()
    described = json.loads(options.datasets.read_text())
    environment = {"OT3L_DATASET_ROOTS": str(options.root.resolve())}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ot3l-compare-") as folder:
        data_dir = options.data_dir or Path(folder)
        with Embedded(data_dir, environment=environment) as service, httpx2.Client(base_url=service.url) as client:
            try:
                jobs = compare(client, described, options)
            except ServiceError as error:
                console.print(f"[red]{error}")
                return 1
    write(jobs, options, time.monotonic() - started)
    return 0


def compare(
    client: httpx2.Client, described: dict[str, Any], options: argparse.Namespace
) -> dict[str, dict[str, dict[str, Any]]]:
    """The finished jobs of every target, by strategy."""
    source = register(client, described["source"])
    settings = {
        "source": source,
        "budget": options.budget,
        "seeds": list(range(options.seeds)),
        "input_size": options.input_size,
        "pool_size": options.pool_size,
        "test_size": options.test_size,
    }
    jobs: dict[str, dict[str, dict[str, Any]]] = {}
    for body in described["targets"]:
        target = register(client, body)
        jobs[target] = {
            strategy: follow(
                client,
                post(client, "/jobs", settings | {"target": target, "strategy": strategy, "alpha": 0.5}),
                f"{target} {strategy}",
            )
            for strategy in STRATEGIES
        }
    return jobs


def register(client: httpx2.Client, body: dict[str, Any]) -> str:
    """Register a dataset, unless the service knows it already; returns its name."""
    if "name" in body and client.get(f"/datasets/{body['name']}").is_success:
        return str(body["name"])
    return str(follow(client, post(client, "/datasets", body), f"register {body.get('name', '')}")["name"])


def write(jobs: dict[str, dict[str, dict[str, Any]]], options: argparse.Namespace, seconds: float) -> None:
    """Print the table, and keep it with everything that it was made from."""
    lines = [
        "| target | classes | pool / test | trained on | zero-shot (conditional) | zero-shot (nearest) | "
        + " | ".join(STRATEGIES)
        + " | wall time |",
        "|---" * (7 + len(STRATEGIES)) + "|",
        *(row_of(target, by_strategy) for target, by_strategy in jobs.items()),
    ]
    table = "\n".join(lines)
    console.print(table, soft_wrap=True)
    console.print(f"{seconds:.0f} s in all")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.with_suffix(".md").write_text(table + "\n")
    kept = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "seconds": round(seconds, 1),
        "jobs": {target: {name: brief(job) for name, job in found.items()} for target, found in jobs.items()},
    }
    options.output.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n")


def row_of(target: str, by_strategy: dict[str, dict[str, Any]]) -> str:
    """One row: accuracy in percent, with its 95% interval over the seeds."""
    result = by_strategy["uniform"]["result"]
    zero_shot = {phase["phase"]: phase for phase in by_strategy["mixed"]["result"]["phases"]}
    cells = [
        target,
        str(len(result["classes"])),
        f"{result['n_pool']} / {result['n_test']}",
        str(result["selection"]["size"]),
        *(percent(zero_shot[name]["accuracy"]) for name in ZERO_SHOT),
        *(percent(by_strategy[name]["result"]["phases"][-1]["accuracy"]) for name in STRATEGIES),
        f"{sum(sum(job['timings'].values()) for job in by_strategy.values()):.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def percent(spread: dict[str, Any]) -> str:
    """A mean over seeds, and the half-width of its 95% interval."""
    interval = "" if spread["interval"] is None else f" ± {100 * spread['interval']:.1f}"
    return f"{100 * spread['mean']:.1f}{interval}"


def brief(job: dict[str, Any]) -> dict[str, Any]:
    """What is worth keeping of a job."""
    phases = [
        {name: phase[name] for name in ("phase", "accuracy", "macro_f1", "calibration_error")}
        for phase in job["result"]["phases"]
    ]
    return {"request": job["request"], "timings": job["timings"], "phases": phases}


if __name__ == "__main__":
    sys.exit(main())
