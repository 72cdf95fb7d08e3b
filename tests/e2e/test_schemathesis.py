"""The service does what its document says, and the document says what the service does; with keys on.

In short here, in full as `make fuzz-api`: every check, every phase, against both shapes.
"""

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from app.local.embedded import embedded
from app.local.production import production
from app.settings import AuthMode, Settings
from app.states import WorkState
from app.store import work
from app.store.records import DatasetRecord
from app.store.sessions import open_database
from tests.app.conftest import SUMMARY
from tests.e2e.conftest import HASTE, Service
from tests.serving import make_key, served

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")
SHORT = ("--phases=examples,fuzzing,stateful", "--max-examples=2", "--no-shrink", "--seed=1")
FULL = (
    f"--seed={os.environ.get('OT3L_FUZZ_SEED', '1')}",
    f"--max-examples={os.environ.get('OT3L_FUZZ_EXAMPLES', '50')}",
)


def fuzz(url, key, folder, *arguments):
    """Let schemathesis loose on a service; it prints what it finds."""
    command = [PROGRAM, "--config-file", CONFIG, "run", f"{url}/openapi.json", *arguments]
    environment = {**os.environ, "OT3L_FUZZ_KEY": key, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    assert subprocess.run(command, cwd=folder, env=environment, check=False).returncode == 0


def register(settings, url, key, name):
    """A dataset, inspected as a worker would."""
    body = {"format": "builtin", "dataset": name}
    made = httpx2.post(f"{url}/datasets", json=body, headers={"Authorization": f"Bearer {key}"}).raise_for_status()
    database = open_database(settings.resolved_database_url)
    with database.writing() as session:
        held = work.claim(session, DatasetRecord, UUID(made.json()["id"]), lease_seconds=60)
        work.finish(session, held, WorkState.SUCCEEDED, digest="0" * 64, result=SUMMARY)
        session.commit()
    database.close()


def test_document_and_service_agree(settings, tmp_path):
    keyed = settings.model_copy(
        update={"auth": AuthMode.ON, "webhook_private_targets": True, "default_source": "digits"}
    )
    key = make_key(keyed.resolved_database_url)
    with served(keyed) as url:
        register(keyed, url, key, "digits")
        register(keyed, url, key, "mnist-5k")
        fuzz(url, key, tmp_path, *SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("make", [embedded, production], ids=["embedded", "production"])
def test_document_and_service_agree_in_full(make, tmp_path):
    settings = {**HASTE, "webhook_private_targets": True, "default_source": "digits", "dataset_roots": tmp_path}
    environment = {f"OT3L_{name.upper()}": str(value) for name, value in settings.items()}
    # Without a key there is no service that asks for one.
    with make(tmp_path / "service", environment=environment) as service:
        url = service.variables.get("OT3L_DATABASE_URL", "")
        key = make_key(Settings(data_dir=service.data_dir, database_url=url).resolved_database_url)
    with make(tmp_path / "service", environment={**environment, "OT3L_AUTH": "on"}) as local:
        service = Service(local)
        service.client.headers["Authorization"] = f"Bearer {key}"
        service.register("digits", "mnist-5k")
        service.client.close()
        fuzz(local.url, key, tmp_path, *FULL)
