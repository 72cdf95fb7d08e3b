"""The tables."""

from app.store.records.access import IdempotencyRecord, KeyRecord
from app.store.records.base import Record
from app.store.records.upkeep import ChoreRecord
from app.store.records.uploads import UploadPartRecord, UploadRecord
from app.store.records.webhooks import DeliveryRecord, WebhookRecord
from app.store.records.work import (
    USUAL_PRIORITY,
    ArtifactRecord,
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceDatasetRecord,
    DistanceRecord,
    EventRecord,
    JobArtifactRecord,
    JobManifestRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
    WorkRecord,
)

__all__ = [
    "USUAL_PRIORITY",
    "ArtifactRecord",
    "ChoreRecord",
    "DatasetArtifactRecord",
    "DatasetRecord",
    "DeliveryRecord",
    "DistanceArtifactRecord",
    "DistanceDatasetRecord",
    "DistanceRecord",
    "EventRecord",
    "IdempotencyRecord",
    "JobArtifactRecord",
    "JobManifestRecord",
    "JobRecord",
    "KeyRecord",
    "Record",
    "SelectionArtifactRecord",
    "SelectionRecord",
    "UploadPartRecord",
    "UploadRecord",
    "WebhookRecord",
    "WorkRecord",
]
