"""The service as Python sees it: `Client` waits for each answer, `AsyncClient` is awaited; both do the same.

::

    from app.client import Client

    with Client() as client:
        job = client.jobs.create(target="mnist-5k", strategy="fitted", budget=200)
        print(job.wait().to_frame())
        job.download("digits.safetensors")

It speaks with the bodies of ``app.schemas`` and imports nothing else of the service. What is asked for are values
(``calls``, ``nouns``), what takes several requests is written once (``flows``, ``events``, ``downloads``,
``uploads``), and ``wire`` has the two ways of waiting (docs/decisions/0011-one-client.md).
"""

from app.client.async_client import AsyncClient
from app.client.async_work import AsyncDataset, AsyncDistance, AsyncJob, AsyncSelection
from app.client.client import Client
from app.client.errors import (
    BadRequestError,
    BrokenConnectionError,
    ClientError,
    ConflictError,
    ConnectionFailedError,
    DamagedDownloadError,
    DatasetFailedError,
    DistanceFailedError,
    ForbiddenError,
    InvalidRequestError,
    JobFailedError,
    MissingPackageError,
    NoResultError,
    NotFoundError,
    NotUploadableError,
    RefusedError,
    SelectionFailedError,
    ServiceFailedError,
    TooManyRequestsError,
    UnauthorizedError,
    UnexpectedReplyError,
    UnreachableError,
    WaitTimeoutError,
    WorkCancelledError,
    WorkEndedError,
    WorkFailedError,
)
from app.client.work import Dataset, Distance, Job, Selection

__all__ = [
    "AsyncClient",
    "AsyncDataset",
    "AsyncDistance",
    "AsyncJob",
    "AsyncSelection",
    "BadRequestError",
    "BrokenConnectionError",
    "Client",
    "ClientError",
    "ConflictError",
    "ConnectionFailedError",
    "DamagedDownloadError",
    "Dataset",
    "DatasetFailedError",
    "Distance",
    "DistanceFailedError",
    "ForbiddenError",
    "InvalidRequestError",
    "Job",
    "JobFailedError",
    "MissingPackageError",
    "NoResultError",
    "NotFoundError",
    "NotUploadableError",
    "RefusedError",
    "Selection",
    "SelectionFailedError",
    "ServiceFailedError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnexpectedReplyError",
    "UnreachableError",
    "WaitTimeoutError",
    "WorkCancelledError",
    "WorkEndedError",
    "WorkFailedError",
]
