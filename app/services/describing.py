"""Names, tags and metadata that owners write on their work."""

from typing import Any
from uuid import UUID

from app.errors import InvalidRequestError
from app.schemas.jobs import JobPatch
from app.schemas.work import MOST_METADATA, DescriptionPatch
from app.services.context import Context
from app.services.reading import show_work
from app.store.jobs import describe, read_notes
from app.store.listing import Shown
from app.store.records import DatasetRecord, JobRecord


def change_description(
    context: Context, kind: type[JobRecord | DatasetRecord], work_id: UUID, patch: DescriptionPatch
) -> Shown:
    """Change what a job's or a dataset's owner has written on it (RFC 7396).

    Raises:
        NotFoundError: If there is no such record.
        InvalidRequestError: If more metadata would remain than there may be.
    """
    given = patch.model_fields_set
    changes: dict[str, Any] = {}
    if "tags" in given:
        changes["tags"] = list(patch.tags or ())
    if "metadata" in given:
        # Locked until the commit: two merges at the same moment must both be there afterwards.
        notes = read_notes(context.session, kind, context.owner, work_id)
        changes["notes"] = _merge(notes, patch.metadata)
    if isinstance(patch, JobPatch) and "name" in given:
        changes["name"] = patch.name
    if changes:
        describe(context.session, kind, context.owner, work_id, changes)
        context.session.commit()
    return show_work(context, kind, work_id)


def _merge(notes: dict[str, str], patch: dict[str, str | None] | None) -> dict[str, str]:
    if patch is None:
        return {}
    merged = {key: value for key, value in (notes | patch).items() if value is not None}
    if len(merged) > MOST_METADATA:
        raise InvalidRequestError.of_field(
            "metadata", f"{len(merged)} pairs would remain, and there may be {MOST_METADATA}: set some to null"
        )
    return merged
