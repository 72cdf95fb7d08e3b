"""Who asks, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID


class Scope(StrEnum):
    """What a key allows; each one on its own."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner on whose behalf a request is made.

    Attributes:
        owner: Whose things the request sees and makes; nobody sees those of another.
        scopes: What it may do.
        key_id: The key that it came with; None where no keys are asked for.
    """

    owner: str
    scopes: frozenset[Scope]
    key_id: UUID | None = None


LOCAL: Final = Principal("local", frozenset(Scope))
"""Who asks where no keys are asked for."""
