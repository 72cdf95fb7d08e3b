"""The embedded shape: a broker, and all else below one folder. ``python -m app.local.embedded`` leaves it running.

The demo and the tests use it as a context manager.
"""

import sys
from functools import partial
from pathlib import Path

from app.local.command import Kind, run
from app.local.parts import free_ports, local_key, valkey, valkey_url
from app.local.service import LocalService, Shape


def _shape(data_dir: Path) -> Shape:
    key, [port] = local_key(data_dir), free_ports(1)
    return Shape(
        parts=(valkey(data_dir / "broker", port, key),),
        settings={"OT3L_BROKER_URL": valkey_url(port, key)},
        hidden=("OT3L_DATABASE_URL", "OT3L_BROKER_URL", "OT3L_BLOB_URL"),
    )


embedded = partial(LocalService, _shape)
"""A service over SQLite and a folder of blobs; what the shell has set for another one is not meant for it."""

KIND = Kind(embedded, "The whole OT3L service on this machine.", Path(".ot3l"), n_workers=1)


if __name__ == "__main__":
    sys.exit(run(KIND))
