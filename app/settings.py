"""Everything an operator may set, read from the environment with the prefix ``OT3L_``."""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """The service's settings; the same for the API and the workers.

    The defaults are the embedded shape: everything below ``data_dir`` on this machine.
    """

    model_config = SettingsConfigDict(env_prefix="OT3L_", env_ignore_empty=True, frozen=True)

    data_dir: Path = Field(default=Path(".ot3l"), description="Where the embedded service keeps everything.")
    database_url: str = Field(default="", description="SQLAlchemy URL; empty: SQLite below data_dir.")
    broker_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis or Valkey.")
    blob_url: str = Field(default="", description="s3://bucket/prefix or file:///folder; empty: below data_dir.")
    dataset_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(Path(),), description="Folders that datasets may be read from, separated like PATH."
    )
    default_source: str | None = Field(default=None, description="Dataset to measure from when a job names none.")
    lease_seconds: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="How long a silent worker keeps its work."
    )
    heartbeat_seconds: float = Field(default=1.0, gt=0, description="How often a worker reports.")
    max_attempts: int = Field(default=5, ge=1, description="How many workers may be lost over one piece of work.")
    sweep_seconds: float = Field(default=2.0, gt=0, description="How often lost work is looked for.")
    requeue_seconds: float = Field(default=10.0, gt=0, description="How old a message is before it can be lost.")

    @field_validator("dataset_roots", mode="before")
    @classmethod
    def _split_roots(cls, roots: Any) -> Any:  # noqa: ANN401 - pydantic hands over what it was given
        return [Path(root) for root in roots.split(os.pathsep) if root] if isinstance(roots, str) else roots

    @model_validator(mode="after")
    def _beat_often_enough(self) -> Self:
        if 3 * self.heartbeat_seconds > self.lease_seconds:
            raise ValueError("heartbeat_seconds must be at most a third of lease_seconds: one missed beat is no death")
        return self

    @property
    def resolved_database_url(self) -> str:
        """The database to use."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'ot3l.db'}"

    @property
    def resolved_blob_url(self) -> str:
        """The blob store to use."""
        return self.blob_url or (self.data_dir.resolve() / "blobs").as_uri()

    @property
    def tuning_states(self) -> Path:
        """Folder of what extended fine-tuning goes on from after a worker was lost."""
        return self.data_dir.resolve() / "tuning"

    @property
    def feature_cache(self) -> Path:
        """Folder of cached features; safe to delete at any time."""
        return self.data_dir.resolve() / "features"


@cache
def read_settings() -> Settings:
    """The settings of this process."""
    return Settings()
