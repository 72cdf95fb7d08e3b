"""The laws that no fault may break. Each looks at the facts alone."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from app.states import WorkState
from benchmarks.chaos.facts import Facts, JobFacts, Outcome, WishFacts


class Harm(StrEnum):
    """What breaking a law means."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Offence:
    """A law that was broken.

    Attributes:
        harm: In which way.
        subject: By what: a job's id, a blob's key, a process.
        what: How.
    """

    harm: Harm
    subject: str
    what: str


Law: TypeAlias = Callable[[Facts], Iterator[Offence]]


def judge(facts: Facts) -> list[Offence]:
    """Everything that is not as it should be; nothing, if all is well."""
    return [offence for law in LAWS for offence in law(facts)]


def everybody_is_answered(facts: Facts) -> Iterator[Offence]:
    """Who keeps asking is accepted in the end, and never gets an answer that nothing explains."""
    for wish in facts.wishes:
        if not wish.ids:
            yield Offence(Harm.LOST, wish.key, f"was never accepted: {wish.refusal}")
        elif wish.refusal is not None:
            yield Offence(Harm.WRONG, wish.key, f"was accepted, and refused when it was posted again: {wish.refusal}")
        for oddity in wish.oddities:
            yield Offence(Harm.WRONG, wish.key, oddity)


def nothing_is_lost(facts: Facts) -> Iterator[Offence]:
    """Every accepted job is there, unless it was deleted, and has ended."""
    jobs = _by_id(facts)
    for wish in facts.wishes:
        for job_id in sorted(wish.ids):
            job = jobs.get(job_id)
            if job is None and not wish.is_deleted:
                yield Offence(Harm.LOST, job_id, "was accepted and is not there")
            elif job is not None and wish.is_deleted:
                yield Offence(Harm.WRONG, job_id, "was deleted and is still there")
            elif job is not None and not WorkState(job.state).is_terminal:
                yield Offence(Harm.LOST, job_id, f"is still {job.state} after {job.attempt} attempts")


def one_key_makes_one_job(facts: Facts) -> Iterator[Offence]:
    """A request that is sent twice under one key makes one job, also when nobody heard the first answer."""
    known: set[str] = set()
    for wish in facts.wishes:
        known |= wish.ids
        if len(wish.ids) > 1:
            yield Offence(Harm.DUPLICATED, wish.key, f"made {len(wish.ids)} jobs: {', '.join(sorted(wish.ids))}")
    for job in facts.jobs:
        if job.id not in known:
            yield Offence(Harm.DUPLICATED, job.id, "is a job that nobody was told of")


def results_are_right(facts: Facts) -> Iterator[Offence]:
    """Whatever happened on the way, a job gives what the same request gave in peace."""
    for wish, job in _accepted(facts):
        if job.state == WorkState.SUCCEEDED:
            for difference in _differences(job.outcome, facts.references[wish.spec]):
                yield Offence(Harm.WRONG, job.id, f"{wish.spec}: {difference}")
        elif job.state == WorkState.FAILED:
            yield Offence(Harm.WRONG, job.id, f"{wish.spec}: failed after {job.attempt} attempts: {job.error}")


def cancellations_are_kept(facts: Facts) -> Iterator[Offence]:
    """Only who asked for it finds a job cancelled; one that was shown as cancelled stays so, and has no files."""
    for wish, job in _accepted(facts):
        is_cancelled = job.state == WorkState.CANCELLED
        if is_cancelled and not wish.wants_cancel:
            yield Offence(Harm.WRONG, job.id, "is cancelled, and nobody asked for that")
        if wish.cancel == WorkState.CANCELLED and not is_cancelled:
            yield Offence(Harm.WRONG, job.id, f"was shown as cancelled and is {job.state}")
        if is_cancelled and job.artifacts:
            yield Offence(Harm.WRONG, job.id, f"is cancelled and has {len(job.artifacts)} files")


def ends_are_told_once(facts: Facts) -> Iterator[Offence]:
    """Each job has one terminal event, the last one, and one message for each webhook."""
    for job in facts.jobs:
        if not WorkState(job.state).is_terminal:
            continue
        ends = [event.state for event in job.events if event.state is not None and WorkState(event.state).is_terminal]
        if len(ends) > 1:
            yield Offence(Harm.DUPLICATED, job.id, f"ended {len(ends)} times: {', '.join(ends)}")
        elif ends != [job.state]:
            yield Offence(Harm.WRONG, job.id, f"is {job.state}, and its events say: {', '.join(ends) or 'no end'}")
        elif job.events[-1].state != job.state:
            yield Offence(Harm.WRONG, job.id, "has events after its end")
        for webhook in sorted(facts.webhooks | set(job.deliveries)):
            count = job.deliveries.get(webhook, 0)
            if count != 1:
                harm = Harm.DUPLICATED if count else Harm.LOST
                yield Offence(harm, job.id, f"webhook {webhook} has {count} messages about its end")


def events_are_in_order(facts: Facts) -> Iterator[Offence]:
    """Events are numbered without gaps, and no attempt speaks after a later one has begun.

    The first event, that the job waits, is the job's own row.
    """
    for job in facts.jobs:
        numbers = [event.number for event in job.events]
        if numbers != list(range(2, job.last_event + 1)):
            yield Offence(Harm.WRONG, job.id, f"counted {job.last_event} events and has the numbers {numbers}")
        attempts = [event.attempt for event in job.events]
        if attempts != sorted(attempts):
            yield Offence(Harm.WRONG, job.id, f"an attempt spoke after a later one: {attempts}")


def files_are_whole(facts: Facts) -> Iterator[Offence]:
    """Each file that a job names is there once, with the bytes that it should have."""
    for job in facts.jobs:
        for name, count in Counter(artifact.name for artifact in job.artifacts).items():
            if count > 1:
                yield Offence(Harm.DUPLICATED, job.id, f"has {count} files named {name}")
        for artifact in job.artifacts:
            stored = facts.blobs.get(artifact.key)
            if stored is None:
                yield Offence(Harm.LOST, job.id, f"{artifact.name} is not in the store")
            elif stored != (artifact.size, artifact.sha256):
                yield Offence(
                    Harm.WRONG, job.id, f"{artifact.name} has {stored[0]} bytes in place of {artifact.size}, or others"
                )


def nothing_is_left_over(facts: Facts) -> Iterator[Offence]:
    """No blob without a row, no lease, no message, no unfinished file and no process stays behind."""
    for key in sorted(facts.blobs.keys() - facts.artifact_keys):
        yield Offence(Harm.WRONG, key, "is a blob that nothing refers to")
    for job in facts.jobs:
        if job.has_lease:
            yield Offence(Harm.WRONG, job.id, f"is {job.state} and still held by somebody")
    if facts.messages:
        yield Offence(Harm.WRONG, "broker", f"has {facts.messages} messages left")
    for file in facts.leftovers:
        yield Offence(Harm.WRONG, file, "is a file of unfinished work")
    for process in facts.strays:
        yield Offence(Harm.WRONG, process, "is a process that belongs to nothing")


def the_api_shows_what_is(facts: Facts) -> Iterator[Offence]:
    """Clients see what the database says."""
    for job in facts.jobs:
        if job.shown != job.state:
            yield Offence(Harm.WRONG, job.id, f"is {job.state} and shown as {job.shown}")


def leaving_takes_no_longer_than_allowed(facts: Facts) -> Iterator[Offence]:
    """A part that is told to leave hands over what it does, and is gone in time."""
    for departure in facts.departures:
        if not departure.left:
            yield Offence(Harm.WRONG, departure.part, f"had not left {departure.allowed:.0f} s after SIGTERM")


LAWS: Final[tuple[Law, ...]] = (
    everybody_is_answered,
    nothing_is_lost,
    one_key_makes_one_job,
    results_are_right,
    cancellations_are_kept,
    ends_are_told_once,
    events_are_in_order,
    files_are_whole,
    nothing_is_left_over,
    the_api_shows_what_is,
    leaving_takes_no_longer_than_allowed,
)


def _by_id(facts: Facts) -> dict[str, JobFacts]:
    return {job.id: job for job in facts.jobs}


def _accepted(facts: Facts) -> Iterator[tuple[WishFacts, JobFacts]]:
    jobs = _by_id(facts)
    for wish in facts.wishes:
        for job_id in sorted(wish.ids & jobs.keys()):
            yield wish, jobs[job_id]


def _differences(found: Outcome, reference: Outcome) -> Iterator[str]:
    if found.metrics != reference.metrics:
        yield "its metrics are not those of the undisturbed run"
    for name in sorted(found.files.keys() | reference.files.keys()):
        here, there = found.files.get(name), reference.files.get(name)
        if here != there:
            yield f"{name} is {here and here[:12]}, undisturbed {there and there[:12]}"
