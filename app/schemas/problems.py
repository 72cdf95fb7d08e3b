"""Errors on the wire."""

from pydantic import Field

from app.schemas.work import Reply


class FieldProblem(Reply):
    """One field that has to change."""

    field: str = Field(examples=["alpha"])
    message: str = Field(examples=["Input should be less than or equal to 1"])


class ProblemRead(Reply):
    """What every error looks like (RFC 9457)."""

    type: str = Field(description="Stable code of the error.", examples=["invalid_request"])
    title: str
    status: int = Field(examples=[422])
    detail: str = Field(default="", description="What was wrong and what would be right.")
    request_id: str | None = Field(default=None, description="The id of the request, as in `X-Request-ID`.")
    errors: list[FieldProblem] = Field(default=[], description="The fields to change, where there are any.")
