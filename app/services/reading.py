"""Looking up work of any kind."""

from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from app.errors import InvalidRequestError, NotFoundError, NotReadyError
from app.schemas.listing import DescribedListQuery, DistanceListQuery, JobListQuery, ListQuery, SelectionListQuery, Sort
from app.services.context import Context
from app.services.cursors import read_cursor, write_cursor
from app.states import WorkState
from app.store.datasets import find_dataset
from app.store.jobs import find_work
from app.store.listing import Filters, Order, Position, Shown, find_shown, list_shown
from app.store.records import (
    ArtifactRecord,
    DatasetRecord,
    DistanceRecord,
    JobRecord,
    SelectionRecord,
    WorkRecord,
)

AnyWork = TypeVar("AnyWork", bound=WorkRecord)
NOUN: dict[type[WorkRecord], str] = {
    DatasetRecord: "dataset",
    DistanceRecord: "distance",
    SelectionRecord: "selection",
    JobRecord: "job",
}


_ORDERS: Final = {
    Sort.NEWEST: Order("created_at", descending=True),
    Sort.OLDEST: Order("created_at", descending=False),
    Sort.LAST_FINISHED: Order("finished_at", descending=True),
    Sort.FIRST_FINISHED: Order("finished_at", descending=False),
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and a cursor where the next ones begin."""

    items: list[Shown]
    next: str | None


def read_work(context: Context, kind: type[AnyWork], work_id: UUID) -> AnyWork:
    """The record with this id.

    Raises:
        NotFoundError: If there is none.
    """
    record = find_work(context.session, kind, context.owner, work_id)
    if record is None:
        raise NotFoundError(f"There is no {NOUN[kind]} {work_id}.")
    return record


def show_work(context: Context, kind: type[WorkRecord], work_id: UUID) -> Shown:
    """What a reply shows of the record with this id: one query.

    Raises:
        NotFoundError: If there is none.
    """
    shown = find_shown(context.session, kind, context.owner, work_id)
    if shown is None:
        raise NotFoundError(f"There is no {NOUN[kind]} {work_id}.")
    return shown


def read_page(context: Context, kind: type[WorkRecord], query: ListQuery) -> Page:
    """One page of a list.

    Raises:
        InvalidCursorError: If the cursor is none of ours, or of another list.
        InvalidRequestError: If there is no dataset of a name to filter by.
    """
    asked = f"{kind.__tablename__} {query.model_dump_json(exclude={'cursor', 'limit'}, exclude_defaults=True)}"
    order = _ORDERS[query.sort]
    found = list_shown(
        context.session,
        kind,
        context.owner,
        _filters(context, query),
        order,
        after=None if query.cursor is None else read_cursor(asked, query.cursor),
        limit=query.limit + 1,
    )
    items = found[: query.limit]
    more = len(found) > query.limit
    last = Position(items[-1][order.key], items[-1]["id"]) if more else None
    return Page(items, None if last is None else write_cursor(asked, last))


def _filters(context: Context, query: ListQuery) -> Filters:
    described = query if isinstance(query, DescribedListQuery) else DescribedListQuery()
    target = query.target if isinstance(query, JobListQuery | SelectionListQuery) else None
    dataset = query.dataset if isinstance(query, DistanceListQuery) else None
    strategy = query.strategy if isinstance(query, JobListQuery) else None
    return Filters(
        states=tuple(dict.fromkeys(query.state)),
        created_after=query.created_after,
        created_before=query.created_before,
        tags=described.tag,
        name_prefix=described.name,
        strategy=strategy,
        target_id=_id_of(context, target, "target"),
        dataset_id=_id_of(context, dataset, "dataset"),
    )


def _id_of(context: Context, name_or_id: str | None, field: str) -> UUID | None:
    if name_or_id is None:
        return None
    record = find_dataset(context.session, context.owner, name_or_id)
    if record is None:
        raise InvalidRequestError.of_field(field, f"no dataset is named {name_or_id!r}: see GET /datasets")
    return record.id


def read_artifact(
    context: Context, kind: type[JobRecord | DistanceRecord | SelectionRecord], work_id: UUID, name: str
) -> ArtifactRecord:
    """A file that a job, a distance or a selection made.

    Raises:
        NotFoundError: If there is no such work, or it makes no such file.
        NotReadyError: If it has not made it yet.
    """
    return artifact_of(read_work(context, kind, work_id), name)


def artifact_of(record: JobRecord | DistanceRecord | SelectionRecord | DatasetRecord, name: str) -> ArtifactRecord:
    """A file that work made.

    Raises:
        NotFoundError: If it makes no such file.
        NotReadyError: If it has not made it yet.
    """
    for artifact in record.artifacts:
        if artifact.name == name:
            return artifact
    noun = NOUN[type(record)]
    if record.state == WorkState.SUCCEEDED:
        raise NotFoundError(f"The {noun} has no artifact {name!r}; GET /{noun}s/{record.id} lists those it has.")
    raise NotReadyError(f"The {noun} is {record.state}: its files are there once it has succeeded.")
