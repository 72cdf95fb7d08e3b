"""Health on the wire."""

from typing import Literal

from app.schemas.work import Reply


class Health(Reply):
    """All is well; anything else is a problem."""

    status: Literal["ok"]
