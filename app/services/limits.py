"""What one owner may take up; an owner who has too much can still read, cancel and delete."""

from app.errors import QuotaExceededError
from app.services.context import Context
from app.settings import Settings
from app.store.usage import count_unfinished, stored_bytes, take_turns


def has_quotas(settings: Settings) -> bool:
    """Whether anything is counted."""
    return bool(settings.max_queued or settings.max_stored_bytes)


def require_room(context: Context) -> None:
    """Refuse work that is one too many, or whose owner stores too much; once it is added, before it is committed.

    Raises:
        QuotaExceededError: If so.
    """
    allowed = context.settings.max_queued
    if allowed:
        take_turns(context.session, context.owner)
        used = count_unfinished(context.session, context.owner)
        if used > allowed:
            raise QuotaExceededError(
                f"{used - 1} pieces of work wait or run, and there may be {allowed}: wait until some have ended, or "
                "cancel some.",
                used=used - 1,
                allowed=allowed,
            )
    require_storage(context)


def require_storage(context: Context, n_bytes: int = 0) -> None:
    """Refuse what would make the owner store too much.

    Args:
        context: Of the request.
        n_bytes: How much is to come; 0 where that is not known.

    Raises:
        QuotaExceededError: If there is no room for it, or there is too much already.
    """
    allowed = context.settings.max_stored_bytes
    if not allowed:
        return
    used = stored_bytes(context.session, context.owner)
    if used + n_bytes > allowed:
        raise QuotaExceededError(
            f"{used:,} bytes of artifacts and uploads are stored, and there may be {allowed:,}: delete what is not "
            "needed.",
            used=used,
            allowed=allowed,
        )
