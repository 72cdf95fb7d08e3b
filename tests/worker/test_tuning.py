"""What fine-tuning leaves on the worker's disk, and what its settings mean."""

import uuid

import pytest

from app.schemas.jobs import FineTuneCreate
from app.states import WorkState
from app.store import work
from app.store.datasets import add_dataset
from app.store.jobs import Origin, add_job
from app.store.records import JobRecord
from ot3l_core.finetune.augmentation import Augmentation
from ot3l_core.finetune.tuning_settings import TuningSettings
from ot3l_core.names import Precision
from worker.tuning import discard_states, tuning_settings

ORIGIN = Origin("local")


def test_what_is_not_asked_for_is_as_the_core_has_it():
    assert tuning_settings(FineTuneCreate()) == TuningSettings()
    asked = FineTuneCreate(blocks=2, epochs=3, flip=True, colour_jitter=0.1, precision="bfloat16")
    expected = TuningSettings(
        blocks=2, epochs=3, augmentation=Augmentation(flip=True, colour_jitter=0.1), precision=Precision.BFLOAT16
    )
    assert tuning_settings(asked) == expected


@pytest.fixture
def keep(database, tmp_path):
    """A job in some state that has something on the disk."""
    folder = tmp_path / "tuning"

    def make(state):
        with database.writing() as session:
            target = add_dataset(session, ORIGIN, name=f"target-{state}", request={})
            record = add_job(session, ORIGIN, target=target, source=None, request={"strategy": "uniform", "alpha": 0.5})
            session.commit()
            if state is not WorkState.QUEUED:
                held = work.claim(session, JobRecord, record.id, lease_seconds=60)
                if state is not WorkState.RUNNING:
                    assert work.finish(session, held, state)
            session.commit()
        (folder / str(record.id)).mkdir(parents=True)
        (folder / str(record.id) / "0.safetensors").write_bytes(b"state")
        (folder / str(record.id) / ".0.safetensors.torn").write_bytes(b"half a st")
        return folder / str(record.id)

    return make


def test_what_is_kept_for_a_job_goes_when_it_has_ended_however_it_did(database, keep, tmp_path):
    kept = {state: keep(state) for state in WorkState}
    stray = tmp_path / "tuning" / str(uuid.uuid4())
    stray.mkdir()
    discard_states(tmp_path / "tuning", database)
    assert {state for state, folder in kept.items() if folder.exists()} == {WorkState.QUEUED, WorkState.RUNNING}
    assert not stray.exists()
    assert len(list(kept[WorkState.RUNNING].iterdir())) == 2


def test_a_worker_that_has_never_tuned_has_nothing_to_discard(database, tmp_path):
    discard_states(tmp_path / "tuning", database)
    assert not (tmp_path / "tuning").exists()
