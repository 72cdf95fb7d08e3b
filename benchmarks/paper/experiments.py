"""Running all experiments; what fails is noted and the rest goes on."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from app.client import Client, ClientError
from benchmarks.paper.catalogue import DataSet, Found
from benchmarks.paper.findings import Failure, Findings, Target, Work
from benchmarks.paper.plan import Plan, budget_for, distance_body, job_body
from benchmarks.paper.service import console, register, run

_SUFFIXES = (".png", ".svg")


def run_all(
    client: Client, plan: Plan, source: Found, targets: Sequence[Found], missing: Sequence[DataSet]
) -> Findings:
    """Tables II to IV for every target, then figure 2 over all of them.

    Raises:
        ClientError: If the source cannot be registered: nothing can be measured without it.
    """
    started = time.monotonic()
    failures: list[Failure] = []
    source_dataset: Work = register(client, dict(source.body))
    done = [_run_target(client, plan, source, target, failures) for target in targets]
    # What no job could read would cost the others their figure too.
    measured = {source.data_set.name: source_dataset}
    measured |= {target.name: target.dataset for target in done if target.dataset and target.jobs}
    distances, heatmaps = None, {}
    if len(measured) > 1:
        n_classes = max(len(dataset["result"]["classes"]) for dataset in measured.values())
        with _noting(failures, "figure 2"):
            distances = run(
                client.distances.create(**distance_body(plan, list(measured), n_classes=n_classes)), "figure 2"
            )
            heatmaps = _heatmaps(client, distances)
    return Findings(
        source, source_dataset, done, missing, distances, heatmaps, failures, seconds=time.monotonic() - started
    )


def _run_target(client: Client, plan: Plan, source: Found, found: Found, failures: list[Failure]) -> Target:
    target = Target(found)
    with _noting(failures, f"{target.title}: registration"):
        dataset = register(client, dict(found.body))
        target = replace(target, dataset=dataset, budget=budget_for(plan, dataset["result"]["n_pool"]))
    if target.dataset is None:
        return target
    jobs: dict[str, Work] = {}
    for arm in plan.arms:
        body = job_body(plan, arm, source=source.data_set.name, target=target.name, budget=target.budget)
        with _noting(failures, f"{target.title}: {arm.title}"):
            jobs[arm.name] = run(client.jobs.create(**body), f"{target.name} {arm.name}")
    return replace(target, jobs=jobs)


def _heatmaps(client: Client, distances: Work) -> dict[str, bytes]:
    measured = client.distances.get(distances["id"])
    return {suffix: measured.read_artifact(f"heatmap{suffix}") for suffix in _SUFFIXES}


@contextmanager
def _noting(failures: list[Failure], what: str) -> Iterator[None]:
    """Go on after a failure, and keep it."""
    try:
        yield
    except ClientError as error:
        failures.append(Failure(what, str(error)))
        console.print(f"{what} failed: {error}", style="red", markup=False)
