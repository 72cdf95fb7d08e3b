"""The production shape on one machine, without containers: ``python -m app.local.production`` leaves it running.

PostgreSQL, Valkey, SeaweedFS, several API processes and workers. Servers of the user's own stand in for ours where the
environment names them: ``OT3L_DATABASE_URL``, ``OT3L_BROKER_URL``, ``OT3L_BLOB_URL`` with ``AWS_*``.
"""

import os
import sys
from functools import partial
from pathlib import Path

from app.local.children import Part
from app.local.command import Kind, run
from app.local.parts import (
    free_ports,
    local_key,
    postgres,
    postgres_url,
    seaweedfs,
    seaweedfs_settings,
    valkey,
    valkey_url,
)
from app.local.service import LocalService, Shape

N_API_PROCESSES = 2
N_WORKERS = 2


def _shape(data_dir: Path) -> Shape:
    key, ports = local_key(data_dir), free_ports(10)
    parts: list[Part] = []
    settings = {"OT3L_API_PROCESSES": os.environ.get("OT3L_API_PROCESSES") or str(N_API_PROCESSES)}
    hidden: tuple[str, ...] = ("OT3L_API_PROCESSES",)
    if not os.environ.get("OT3L_DATABASE_URL"):
        parts.append(postgres(data_dir / "postgres", ports[0], key))
        settings["OT3L_DATABASE_URL"] = postgres_url(ports[0], key)
    if not os.environ.get("OT3L_BROKER_URL"):
        parts.append(valkey(data_dir / "broker", ports[1], key))
        settings["OT3L_BROKER_URL"] = valkey_url(ports[1], key)
    if not os.environ.get("OT3L_BLOB_URL"):
        parts.append(seaweedfs(data_dir / "s3", key, ports[2:]))
        settings |= seaweedfs_settings(ports[2], key)
        # Nor may credentials of another store, or a session of theirs, come between.
        hidden = (*hidden, "AWS_")
    return Shape(parts=tuple(parts), settings=settings, hidden=hidden)


production = partial(LocalService, _shape, n_workers=N_WORKERS)
"""A service over PostgreSQL, Valkey and S3, or over what the environment names instead."""

KIND = Kind(
    production,
    "OT3L in its production shape on this machine, without containers.",
    Path(".ot3l-up"),
    n_workers=N_WORKERS,
)


if __name__ == "__main__":
    sys.exit(run(KIND))
