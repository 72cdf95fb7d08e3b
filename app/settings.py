"""Everything an operator may set, read from the environment with the prefix ``OT3L_``."""

import os
from enum import StrEnum
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.places import BucketPlace, bucket_place


class AuthMode(StrEnum):
    """Whether keys are asked for."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    TEXT = "text"


class Settings(BaseSettings):
    """The service's settings; the same for the API and the workers.

    The defaults are the embedded shape: everything below ``data_dir`` on this machine.
    """

    model_config = SettingsConfigDict(env_prefix="OT3L_", env_ignore_empty=True, frozen=True)

    host: str = Field(default="127.0.0.1", description="Where the API listens; beyond loopback it asks for keys.")
    port: int = Field(default=8000, ge=0, le=65535, description="Its port; 0: a free one.")
    api_processes: int = Field(default=1, ge=1, le=64, description="How many processes answer requests.")
    auth: AuthMode = Field(
        default=AuthMode.AUTO, description="Whether keys are asked for; auto: unless host is a loopback address."
    )
    data_dir: Path = Field(default=Path(".ot3l"), description="Where the embedded service keeps everything.")
    database_url: str = Field(default="", description="SQLAlchemy URL; empty: SQLite below data_dir.")
    broker_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis or Valkey.")
    blob_url: str = Field(default="", description="s3://bucket/prefix or file:///folder; empty: below data_dir.")
    dataset_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(Path(),), description="Folders that datasets may be read from, separated like PATH."
    )
    dataset_buckets: Annotated[tuple[BucketPlace, ...], NoDecode] = Field(
        default=(), description="Like s3://bucket/prefix, separated by commas: where datasets may be read from S3."
    )
    dataset_endpoint: str | None = Field(
        default=None, description="Address of the S3 store that has them; default: that of AWS_ENDPOINT_URL, or AWS."
    )
    max_upload_bytes: int = Field(default=100 << 30, ge=1, description="The largest file that may be uploaded.")
    max_body_bytes: int = Field(default=32 << 20, ge=1, description="The largest body of any other request.")
    upload_part_bytes: int = Field(default=16 << 20, ge=1 << 10, description="Size of the parts of an upload.")
    upload_hours: float = Field(default=24.0, gt=0, description="How long an unfinished upload is kept.")
    presign: bool = Field(
        default=False, description="Send clients to the S3 store for files and parts, in place of passing bytes on."
    )
    public_blob_endpoint: str | None = Field(
        default=None, description="Address of the S3 store as clients reach it; default: as the service does."
    )
    rate_limit: str = Field(default="", description="Requests of one key, like `100/second; 2000/minute`; empty: any.")
    max_queued: int = Field(default=0, ge=0, description="How much work one owner may have waiting; 0: any.")
    max_stored_bytes: int = Field(default=0, ge=0, description="Artifacts and uploads of one owner; 0: any.")
    webhook_private_targets: bool = Field(
        default=False, description="Whether webhooks may point to private, loopback and link-local addresses."
    )
    event_days: float = Field(default=30.0, gt=0, description="How long events are kept after they happened.")
    orphan_seconds: float = Field(
        default=3600.0, gt=0, description="How old a blob that nothing refers to must be before it is deleted."
    )
    drain_seconds: float = Field(
        default=20.0, ge=0, description="How long a worker that is told to leave goes on before it hands its work over."
    )
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Where a worker tells its metrics; 0: nowhere.")
    log_format: LogFormat = Field(default=LogFormat.JSON, description="How log lines look.")
    tracing: bool = Field(default=False, description="Send traces by OTLP; OTEL_* say where.")
    mlflow_uri: str = Field(default="", description="Tracking server that jobs may be told to; empty: none.")
    mlflow_seconds: float = Field(
        default=30.0, ge=0, allow_inf_nan=False, description="How long a job that is done waits for it at the most."
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

    @field_validator("dataset_buckets", mode="before")
    @classmethod
    def _split_buckets(cls, buckets: Any) -> Any:  # noqa: ANN401 - likewise
        return [bucket_place(url.strip()) for url in buckets.split(",")] if isinstance(buckets, str) else buckets

    @model_validator(mode="after")
    def _beat_often_enough(self) -> Self:
        if 3 * self.heartbeat_seconds > self.lease_seconds:
            raise ValueError("heartbeat_seconds must be at most a third of lease_seconds: one missed beat is no death")
        return self

    @property
    def asks_for_keys(self) -> bool:
        """Whether a request must come with a key."""
        return self.auth is AuthMode.ON or (self.auth is AuthMode.AUTO and not is_loopback(self.host))

    @property
    def scratch(self) -> Path:
        """Folder of what is being written; safe to delete while nothing runs."""
        return self.data_dir.resolve() / "scratch"

    @property
    def upload_cache(self) -> Path:
        """Folder of uploads as files, by content; safe to delete at any time."""
        return self.data_dir.resolve() / "uploads"

    @property
    def bucket_cache(self) -> Path:
        """Folder of datasets from S3 as files; safe to delete while nothing runs."""
        return self.data_dir.resolve() / "buckets"

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


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; names other than localhost are taken for reachable."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@cache
def read_settings() -> Settings:
    """The settings of this process."""
    return Settings()
