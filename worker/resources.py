"""What one worker process holds open."""

from dataclasses import dataclass

import torch

from app.settings import Settings
from app.store.blobs import BlobStore, open_blobs
from app.store.sessions import Database, open_database
from ot3l_core.data.features import FeatureCache
from worker.counting import CountedCache
from worker.device import choose_device


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything a task needs beside its id."""

    settings: Settings
    database: Database
    blobs: BlobStore
    cache: FeatureCache
    device: torch.device


_opened: list[Resources] = []


def open_resources(settings: Settings) -> Resources:
    """Open this process's resources; called once, after the fork."""
    resources = Resources(
        settings=settings,
        database=open_database(settings.resolved_database_url),
        blobs=open_blobs(settings.resolved_blob_url),
        cache=CountedCache(settings.feature_cache),
        device=choose_device(),
    )
    _opened.append(resources)
    return resources


def resources() -> Resources:
    """This process's resources."""
    return _opened[-1]


def close_resources() -> None:
    """Close what this process holds open."""
    while _opened:
        _opened.pop().database.close()
