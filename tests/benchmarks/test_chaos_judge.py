"""The judge finds nothing where all is well, and names whatever is not."""

from dataclasses import replace

import pytest

from app.states import WorkState
from benchmarks.chaos.facts import ArtifactFacts, EventFacts, Facts, JobFacts, Outcome, WishFacts
from benchmarks.chaos.faults import Departure
from benchmarks.chaos.judge import LAWS, Harm, judge

HOOK = "hook"
REFERENCE = Outcome("metrics", {"checkpoint.safetensors": "aa", "selection.csv": "bb"})


def wish(number, **more):
    return WishFacts(key=f"key-{number}", spec="mixed", ids=frozenset({f"job-{number}"}), **more)


def job(number, *, state=WorkState.SUCCEEDED, **more):
    name = f"job-{number}"
    files = tuple(ArtifactFacts(file, f"{name}/{digest}", 10, digest) for file, digest in REFERENCE.files.items())
    is_done = state is WorkState.SUCCEEDED
    told = {
        "outcome": REFERENCE if is_done else Outcome("none", {}),
        "attempt": 2,
        "last_event": 5,
        "events": (
            EventFacts(2, 1, WorkState.RUNNING),
            EventFacts(3, 1, None),
            EventFacts(4, 2, WorkState.RUNNING),
            EventFacts(5, 2, state),
        ),
        "artifacts": files if is_done else (),
        "deliveries": {HOOK: 1},
        "shown": state,
    }
    return JobFacts(id=name, state=state, **told | more)


def facts(*jobs, wishes=None, **more):
    artifacts = [artifact for found in jobs for artifact in found.artifacts]
    told = {
        "blobs": {artifact.key: (artifact.size, artifact.sha256) for artifact in artifacts},
        "artifact_keys": frozenset(artifact.key for artifact in artifacts),
        "departures": (Departure("worker-0", 3.0, 12.0, left=True),),
    }
    return Facts(
        references={"mixed": REFERENCE},
        wishes=tuple(wishes if wishes is not None else [wish(number) for number in range(len(jobs))]),
        jobs=jobs,
        webhooks=frozenset({HOOK}),
        **told | more,
    )


WELL = facts(job(0), job(1, state=WorkState.CANCELLED), wishes=[wish(0), wish(1, wants_cancel=True, cancel="running")])


def broken_job(**more):
    return replace(WELL, jobs=(job(0, **more), WELL.jobs[1]))


def broken_wish(**more):
    return replace(WELL, wishes=(replace(WELL.wishes[0], **more), WELL.wishes[1]))


def test_nothing_is_wrong_where_all_is_well():
    assert judge(WELL) == []


def test_a_job_that_ended_before_its_cancellation_may_have_succeeded():
    ended = replace(WELL, wishes=(replace(WELL.wishes[0], wants_cancel=True, cancel="running"), WELL.wishes[1]))
    assert judge(ended) == []


def test_a_cancellation_whose_answer_was_lost_counts_as_asked_for():
    unheard = replace(WELL, wishes=(WELL.wishes[0], replace(WELL.wishes[1], cancel=None)))
    assert judge(unheard) == []


def test_a_deleted_job_is_gone():
    first, second = WELL.jobs
    gone = facts(second, wishes=[replace(WELL.wishes[0], is_deleted=True), WELL.wishes[1]])
    assert judge(gone) == []
    assert [found.harm for found in judge(replace(gone, jobs=(first, second), blobs=WELL.blobs))] != []


EVENTS = job(0).events
BREACHES = {
    "never accepted": (broken_wish(ids=frozenset(), refusal="503"), Harm.LOST, "key-0"),
    "refused when posted again": (broken_wish(refusal="422"), Harm.WRONG, "key-0"),
    "an odd answer": (broken_wish(oddities=("cancel: 500",)), Harm.WRONG, "key-0"),
    "accepted and not there": (replace(WELL, jobs=WELL.jobs[1:]), Harm.LOST, "job-0"),
    "still running": (broken_job(state=WorkState.RUNNING), Harm.LOST, "job-0"),
    "two jobs under one key": (broken_wish(ids=frozenset({"job-0", "job-9"})), Harm.DUPLICATED, "key-0"),
    "a job nobody knows of": (replace(WELL, jobs=(*WELL.jobs, job(7))), Harm.DUPLICATED, "job-7"),
    "other metrics": (broken_job(outcome=replace(REFERENCE, metrics="others")), Harm.WRONG, "job-0"),
    "other bytes": (
        broken_job(outcome=Outcome("metrics", REFERENCE.files | {"selection.csv": "cc"})),
        Harm.WRONG,
        "job-0",
    ),
    "a file too few": (broken_job(outcome=Outcome("metrics", {"selection.csv": "bb"})), Harm.WRONG, "job-0"),
    "failed": (broken_job(state=WorkState.FAILED, error="worker_lost"), Harm.WRONG, "job-0"),
    "cancelled by nobody": (broken_job(state=WorkState.CANCELLED), Harm.WRONG, "job-0"),
    "cancelled, then done": (broken_wish(wants_cancel=True, cancel="cancelled"), Harm.WRONG, "job-0"),
    "cancelled with files": (
        broken_job(state=WorkState.CANCELLED, artifacts=WELL.jobs[0].artifacts),
        Harm.WRONG,
        "job-0",
    ),
    "ended twice": (
        broken_job(events=(*EVENTS, EventFacts(6, 2, WorkState.SUCCEEDED)), last_event=6),
        Harm.DUPLICATED,
        "job-0",
    ),
    "no end told": (broken_job(events=EVENTS[:-1], last_event=4), Harm.WRONG, "job-0"),
    "another end told": (
        broken_job(events=(*EVENTS[:-1], EventFacts(5, 2, WorkState.FAILED))),
        Harm.WRONG,
        "job-0",
    ),
    "spoke after its end": (broken_job(events=(*EVENTS, EventFacts(6, 2, None)), last_event=6), Harm.WRONG, "job-0"),
    "a gap in the events": (broken_job(events=(*EVENTS[:1], *EVENTS[2:])), Harm.WRONG, "job-0"),
    "an event too many": (broken_job(last_event=6), Harm.WRONG, "job-0"),
    "a zombie's event": (
        broken_job(events=(EVENTS[0], EVENTS[2], EventFacts(3, 1, None), EVENTS[3])),
        Harm.WRONG,
        "job-0",
    ),
    "webhook told twice": (broken_job(deliveries={HOOK: 2}), Harm.DUPLICATED, "job-0"),
    "webhook not told": (broken_job(deliveries={}), Harm.LOST, "job-0"),
    "two files of one name": (broken_job(artifacts=(*job(0).artifacts, job(0).artifacts[0])), Harm.DUPLICATED, "job-0"),
    "a file not in the store": (replace(WELL, blobs={}), Harm.LOST, "job-0"),
    "half a file": (replace(WELL, blobs=WELL.blobs | {"job-0/aa": (5, "dd")}), Harm.WRONG, "job-0"),
    "an orphan": (replace(WELL, blobs=WELL.blobs | {"jobs/x": (1, "ee")}), Harm.WRONG, "jobs/x"),
    "a lease": (broken_job(has_lease=True), Harm.WRONG, "job-0"),
    "messages": (replace(WELL, messages=3), Harm.WRONG, "broker"),
    "a file of unfinished work": (replace(WELL, leftovers=("scratch/x",)), Harm.WRONG, "scratch/x"),
    "a process": (replace(WELL, strays=("17 python",)), Harm.WRONG, "17 python"),
    "another state shown": (broken_job(shown="running"), Harm.WRONG, "job-0"),
    "not shown": (broken_job(shown=None), Harm.WRONG, "job-0"),
    "did not leave": (
        replace(WELL, departures=(Departure("worker-0", 12.0, 12.0, left=False),)),
        Harm.WRONG,
        "worker-0",
    ),
}


@pytest.mark.parametrize("name", BREACHES)
def test_every_breach_is_named(name):
    broken, harm, subject = BREACHES[name]
    assert (harm, subject) in {(found.harm, found.subject) for found in judge(broken)}


def test_every_law_can_be_broken():
    broken = {law.__name__ for law in LAWS for facts_of, *_ in BREACHES.values() if list(law(facts_of))}
    assert broken == {law.__name__ for law in LAWS}
