"""Asking for work: checked, looked for among earlier work, stored, and only then enqueued."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from app.schemas.work import Preview, ReusableSubmission, Submission
from app.services.context import Context
from app.services.dispatch import TASK_OF, commit_and_enqueue
from app.services.estimates import History, Past, Sizes, estimate, load_of
from app.services.idempotency import Asked, once
from app.services.limits import has_quotas
from app.services.reading import show_work
from app.services.reuse import reuse_key_of
from app.store.jobs import Inserted, Origin, Run, find_equal, list_runs
from app.store.listing import Shown
from app.store.records import DatasetRecord, WorkRecord
from app.store.sessions import begin
from app.store.work import Waiting

AnyWork = TypeVar("AnyWork", bound=WorkRecord)
RUNS_LOOKED_AT: Final = 20
"""How many of the latest runs of each kind an estimate goes by."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[AnyWork]):
    """Work that was checked and can be stored.

    Attributes:
        kind: Its table.
        request: Every setting, defaults filled in.
        datasets: What it computes on, in the order of their roles.
        sizes: How many samples that is.
        add: Stores it; commits nothing.
        labels: Those that came with the request, and are not in ``request``.
        is_one_row: Whether ``add`` is one statement, which is durable or not without a transaction around it.
    """

    kind: type[AnyWork]
    request: dict[str, Any]
    datasets: tuple[DatasetRecord | None, ...]
    sizes: Sizes
    add: Callable[[Origin], AnyWork | Inserted]
    labels: Mapping[str, str] | None = field(default=None)
    is_one_row: bool = False


class Answer(Enum):
    """Where the work comes from that a request is answered with."""

    MADE = auto()
    REUSED = auto()
    REPLAYED = auto()


@dataclass(frozen=True, slots=True)
class Submitted:
    """The work that a request is answered with.

    Attributes:
        id: Its id.
        work: Its record, or what replies show of it.
        answer: Where it comes from.
    """

    id: UUID
    work: WorkRecord | Shown
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Equal:
    """Work that did the same before."""

    id: UUID


def submit(
    context: Context,
    submission: Submission,
    asked: Asked | None,
    plan: Callable[[], Plan[AnyWork]],
    kind: type[AnyWork],
) -> Submitted:
    """Store the work that a request asks for and have a worker do it, unless that was done, or asked for, before.

    Args:
        context: On whose behalf; with a session for submitting.
        submission: How the work is asked for.
        asked: The request as the client calls it.
        plan: Checks the request; may raise.
        kind: Of the work.

    Raises:
        IdempotencyKeyReusedError: If the key came with another request before.
        QuotaExceededError: If the owner has too much already.
        NotFoundError: If what an earlier request with this key made was deleted.
    """

    def make() -> AnyWork | Inserted | _Equal:
        made = plan()
        key = _reuse_key(context, made)
        equal = _find_equal(context, submission, made, key)
        if equal is not None:
            return _Equal(equal)
        if asked is None and (not made.is_one_row or has_quotas(context.settings)):
            begin(context.session)
        return made.add(replace(context.origin, priority=submission.priority, reuse_key=key))

    if asked is not None:
        # The key, and what it stands for, become durable together.
        begin(context.session)
    done = once(context, asked, make)
    fresh = done.fresh
    if fresh is None or isinstance(fresh, _Equal):
        context.session.commit()
        answer = Answer.REPLAYED if fresh is None else Answer.REUSED
        return Submitted(done.subject_id, show_work(context, kind, done.subject_id), answer)
    commit_and_enqueue(context, kind, Waiting(done.subject_id, fresh.priority))
    return Submitted(done.subject_id, fresh.shown if isinstance(fresh, Inserted) else fresh, Answer.MADE)


def preview(context: Context, submission: Submission, plan: Plan[AnyWork]) -> Preview:
    """What a request that was checked would do; nothing is stored."""
    kind = plan.kind.__tablename__
    return Preview(
        request=plan.request,
        would_reuse=_find_equal(context, submission, plan, _reuse_key(context, plan)),
        estimate=estimate(load_of(kind, plan.request, plan.sizes), _history(context)),
    )


def _reuse_key(context: Context, plan: Plan[AnyWork]) -> str | None:
    digests = [dataset.digest or "" if dataset else "" for dataset in plan.datasets]
    if plan.kind is DatasetRecord:
        # Its inspection is what tells the content.
        return None
    labels = None if plan.labels is None else dict(plan.labels)
    return reuse_key_of(context.owner, plan.kind.__tablename__, plan.request, digests=digests, labels=labels)


def _find_equal(context: Context, submission: Submission, plan: Plan[AnyWork], key: str | None) -> UUID | None:
    if key is None or not isinstance(submission, ReusableSubmission) or not submission.reuse:
        return None
    return find_equal(context.session, plan.kind, context.owner, key)


def _history(context: Context) -> History:
    return History(
        tuple(
            Past(load_of(kind.__tablename__, run.request, _sizes_of(run)), run.timings)
            for kind in TASK_OF
            for run in list_runs(context.session, kind, context.owner, limit=RUNS_LOOKED_AT)
        )
    )


def _sizes_of(run: Run) -> Sizes:
    counts = run.counts
    if counts["n_samples"]:
        return Sizes(each=tuple(counts["n_samples"]))
    if counts["n_target"]:
        return Sizes(each=(counts["n_source"], counts["n_target"]))
    return Sizes(pool=counts["n_pool"] or 0, test=counts["n_test"] or 0, source=counts["n_source"] or 0)
