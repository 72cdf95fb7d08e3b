"""A run: the references in peace, then the storm, then the facts."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from app.states import WorkState
from app.store.jobs import get_work
from app.store.records import JobRecord
from benchmarks.chaos.clients import Client, Wish, await_all, words_of
from benchmarks.chaos.facts import (
    Facts,
    Outcome,
    count_messages,
    facts_of_wish,
    list_leftovers,
    list_orphans,
    list_unfinished,
    outcome_of,
    read_artifact_keys,
    read_blobs,
    read_jobs,
)
from benchmarks.chaos.faults import deliver_unacknowledged
from benchmarks.chaos.field import ORPHAN_SECONDS, WORKERS, Field, await_true, field_of
from benchmarks.chaos.plan import Plan, ShapeName
from benchmarks.chaos.receiver import receiver
from benchmarks.chaos.specs import DATASETS, SPECS, write_target
from benchmarks.chaos.storm import Storm, blow

log = logging.getLogger(__name__)

_PEACE_SECONDS = 300.0
_END_SECONDS = 1800.0
_TIDY_SECONDS = 2 * ORPHAN_SECONDS + 60.0
_LEAVE_SECONDS = 10.0


class SetUpError(RuntimeError):
    """What has to work before there is any fault did not."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was done, and what is there afterwards.

    Attributes:
        storm: The faults and requests.
        facts: For the judge.
        seconds: Of the whole, with references and waiting.
    """

    storm: Storm
    facts: Facts
    seconds: float


def run_plan(plan: Plan, *, shape: ShapeName, folder: Path) -> Run:
    """Start a service below ``folder``, do what was planned, and gather the facts.

    Raises:
        SetUpError: If a job fails before there was any fault.
    """
    began = time.monotonic()
    write_target(folder)
    with receiver() as told:
        with field_of(shape, folder) as field:
            references, known = _take_references(field, sorted({asked.spec for asked in plan.submissions}))
            webhook = _make(Client(field.service.url), "/webhooks", {"url": told.url, "events": ["*"]})
            log.info("%.0f s: undisturbed runs of %d specs are done", time.monotonic() - began, len(references))
            storm = blow(field, plan, folder / "faults.jsonl")
            log.info("%.0f s: the storm is over, its jobs may end", time.monotonic() - began)
            facts = _gather(field, storm, known)
        survivors = _survivors(field)
    facts = replace(facts, references=references, webhooks=frozenset({webhook}), strays=(*facts.strays, *survivors))
    return Run(storm, facts, time.monotonic() - began)


def _take_references(field: Field, specs: Sequence[str]) -> tuple[dict[str, Outcome], set[str]]:
    """What each spec gives while nothing is disturbed, and the ids of these jobs."""
    client = Client(field.service.url)
    for dataset in DATASETS:
        _await_success(client, f"/datasets/{_make(client, '/datasets', dataset)}")
    ids = {}
    for spec in specs:
        ids[spec] = _make(client, "/jobs", SPECS[spec])
        _await_success(client, f"/jobs/{ids[spec]}")
    with field.database.reading() as session:
        records = {spec: get_work(session, JobRecord, UUID(job_id)) for spec, job_id in ids.items()}
        outcomes = {spec: outcome_of(record) for spec, record in records.items() if record is not None}
    return outcomes, set(ids.values())


def _make(client: Client, path: str, body: Mapping[str, object]) -> str:
    reply = client.ask("POST", path, json=dict(body), patience=_PEACE_SECONDS)
    if reply is None or not reply.is_success:
        raise SetUpError(f"POST {path}: {words_of(reply)}")
    return str(reply.json()["id"])


def _await_success(client: Client, path: str) -> None:
    deadline = time.monotonic() + _PEACE_SECONDS
    reply = None
    while time.monotonic() < deadline:
        reply = client.ask("GET", path)
        told = {} if reply is None else reply.json()
        if told.get("state") == WorkState.SUCCEEDED:
            return
        if told.get("finished_at") is not None:
            break
        time.sleep(0.05)
    raise SetUpError(f"undisturbed work did not succeed: {words_of(reply)}")


def _gather(field: Field, storm: Storm, known: set[str]) -> Facts:
    """Wait until everything has ended and was tidied up, as long as that may take, and look."""
    for child in field.service.children.values():
        await_true(lambda name=child.part.name: field.is_running(name), f"{child.part.name} runs")  # type: ignore[misc]
        child.await_ready()

    def unfinished() -> set[str]:
        with field.database.reading() as session:
            return list_unfinished(session)

    left = await_all(lambda: field.ask_database(unfinished), patience=_END_SECONDS)
    log.info("%d jobs have not ended; now for what is to be tidied up", len(left))
    log.info("%d messages were never acknowledged: delivered again", deliver_unacknowledged(field))
    if list_leftovers(field):
        # A worker looks at its start for what others have left on its disk.
        for name in WORKERS:
            field.child(name).stop()
            field.child(name).start()
    await_all(lambda: _untidy(field), patience=_TIDY_SECONDS)
    shown = _shown(field, storm.wishes)
    with field.database.reading() as session:
        return Facts(
            references={},
            wishes=tuple(map(facts_of_wish, storm.wishes)),
            jobs=read_jobs(session, shown, known),
            blobs=read_blobs(field.store),
            artifact_keys=read_artifact_keys(session),
            messages=count_messages(field),
            leftovers=list_leftovers(field),
            strays=tuple(f"{process.pid} {process.name()}" for process in field.strays()),
            departures=tuple(done.departure for done in storm.injected if done.departure is not None),
        )


def _untidy(field: Field) -> set[str]:
    """What is still to be cleaned up by the service itself."""
    with field.database.reading() as session:
        found = {*list_orphans(field.store, read_artifact_keys(session)), *list_leftovers(field)}
    if count_messages(field):
        found.add("messages")
    return found


def _shown(field: Field, wishes: Sequence[Wish]) -> dict[str, str]:
    """The states of jobs as the API shows them."""
    client, found = Client(field.service.url), {}
    for job_id in sorted(set().union(*(wish.ids for wish in wishes))):
        reply = client.ask("GET", f"/jobs/{job_id}")
        if reply is not None and reply.is_success:
            found[job_id] = str(reply.json()["state"])
    return found


def _survivors(field: Field) -> list[str]:
    """Processes that are still there a while after the service was stopped."""
    left = await_all(
        lambda: {f"{process.pid} outlived the service" for process in field.own_processes()}, patience=_LEAVE_SECONDS
    )
    return sorted(left)
