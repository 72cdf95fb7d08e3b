"""What a worker counts, and where it tells it."""

import socket
import urllib.request

import pytest
import torch

from app.observing.metrics import REGISTRY
from app.settings import Settings
from app.store.datasets import add_dataset
from app.store.jobs import Origin
from app.store.records import DatasetRecord
from ot3l_core.errors import CorruptImageError
from ot3l_core.names import Phase
from worker.counting import CountedCache, tell_metrics
from worker.lifecycle import Lifecycle, Outcome

KIND = {"kind": "datasets"}


def count(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def read_well(_record, reporter):
    reporter.enter(Phase.READING)
    return Outcome({"result": {}})


def find_it_broken(_record, reporter):
    reporter.enter(Phase.READING)
    raise CorruptImageError("broken")


@pytest.mark.parametrize(
    ("compute", "state", "code"), [(read_well, "succeeded", ""), (find_it_broken, "failed", "corrupt_image")]
)
def test_an_attempt_counts_its_wait_its_phases_and_its_end_once(database, tmp_path, compute, state, code):
    def counts():
        return [
            count("ot3l_work_wait_seconds_count", **KIND),
            count("ot3l_work_phase_seconds_count", **KIND, phase="reading"),
            count("ot3l_work_ended_total", **KIND, state=state, code=code),
        ]

    with database.writing() as session:
        record = add_dataset(session, Origin("local"), name="digits", request={})
        session.commit()
    before = counts()
    lifecycle = Lifecycle(database, Settings(data_dir=tmp_path), DatasetRecord, compute)
    for _ in range(2):
        # The second delivery of the message finds nothing to do.
        lifecycle.run(record.id)
    assert counts() == [number + 1 for number in before]


def test_features_that_are_there_are_hits_and_others_misses(tmp_path):
    cache, features = CountedCache(tmp_path), torch.arange(6.0).reshape(2, 3)
    before = [count("ot3l_feature_cache_total", outcome=outcome) for outcome in ("miss", "hit", "hit")]
    assert cache.load("a" * 64) is None
    cache.store("a" * 64, features)
    assert torch.equal(cache.load("a" * 64), features)
    after = [count("ot3l_feature_cache_total", outcome=outcome) for outcome in ("miss", "hit", "hit")]
    assert after == [number + 1 for number in before]


def test_prometheus_reads_them_where_the_settings_say(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server, thread = tell_metrics(Settings(data_dir=tmp_path, metrics_port=port))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            assert b"ot3l_work_ended_total" in reply.read()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert tell_metrics(Settings(data_dir=tmp_path)) is None
