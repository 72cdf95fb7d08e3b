"""Work as handles: made, looked at, waited for, steered, listed; by both clients."""

import asyncio
import inspect

import pytest

from app.client import (
    AsyncClient,
    Client,
    ConflictError,
    DatasetFailedError,
    InvalidRequestError,
    JobFailedError,
    NoResultError,
    NotFoundError,
    TooManyRequestsError,
    WaitTimeoutError,
    WorkCancelledError,
    async_client,
    async_work,
    client,
    work,
)
from app.client.bars import progress_bar
from app.main import create_app
from app.schemas.keys import KeyCreate
from app.schemas.webhooks import WebhookCreate, WebhookUpdate
from app.states import WorkState
from app.store.records import DatasetRecord
from tests.app.served import NEWS, RESULT, begin, end
from tests.loopback import serving


def public(kind):
    """What a class offers, and what that takes."""
    return {
        name: [(one.name, one.kind, one.default) for one in inspect.signature(what).parameters.values()]
        for name, what in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize("name", ["Dataset", "Distance", "Selection", "Job"])
def test_handles_of_both_clients_offer_the_same(name):
    assert public(getattr(work, name)) == public(getattr(async_work, f"Async{name}"))


NOUNS = ["Datasets", "Distances", "Jobs", "Selections", "Uploads", "Keys", "Webhooks"]


@pytest.mark.parametrize("name", ["Client", *NOUNS])
def test_both_clients_offer_the_same(name):
    assert public(getattr(client, name)) == public(getattr(async_client, f"Async{name}"))


@pytest.fixture
def here(url):
    with Client(url, attempts=1) as made:
        yield made


@pytest.fixture
def job(here, target):
    return here.jobs.create(target="target", strategy="uniform", name="trial", tags=["a"])


def test_a_dataset_is_waited_for_and_told_of(here, target):
    assert (target.name, target.latest.format, target.result.n_pool) == ("target", "builtin", 80)
    seen = []
    assert target.wait(on_progress=seen.append) is target
    assert [one.state for one in seen] == [WorkState.SUCCEEDED]
    assert target.describe(metadata={"licence": "CC0"}, tags=["x"]).latest.metadata == {"licence": "CC0"}
    assert [one.name for one in here.datasets.list(tag="x")] == ["target"]
    assert here.datasets.preview(format="builtin", dataset="digits", name="y").estimate.seconds > 0
    target.delete()
    with pytest.raises(NotFoundError):
        target.refresh()


def test_a_job_is_waited_for_with_growing_patience(here, job, service_database, naps, monkeypatch):
    looks = []

    def finish_in_the_end(latest):
        looks.append(latest.state)
        if len(looks) == 4:
            end(service_database, begin(service_database, job.id), WorkState.SUCCEEDED, result=RESULT)

    with pytest.raises(NoResultError, match="wait for it"):
        job.to_frame()
    assert job.wait(on_progress=finish_in_the_end).state is WorkState.SUCCEEDED
    assert looks == [WorkState.QUEUED] * 4 + [WorkState.SUCCEEDED]
    assert naps == sorted(naps)
    assert (job.accuracy, job.result.checkpoint.n_correct) == (0.75, 15)


def test_waiting_may_end_before_the_work(job, naps):
    with pytest.raises(WaitTimeoutError, match="goes on"):
        job.wait(timeout=5.0)
    assert sum(naps) <= 5.0


def test_a_failure_has_a_code_a_message_and_a_field(here, job, service_database, finish):
    error = {"code": "too_few_samples", "message": "3 of 7", "field": "budget"}
    end(service_database, begin(service_database, job.id), WorkState.FAILED, error=error)
    with pytest.raises(JobFailedError) as raised:
        job.wait()
    failed = raised.value
    assert (failed.code, failed.message, failed.field) == ("too_few_samples", "3 of 7", "budget")
    assert failed.work.id == job.id
    assert str(failed) == f"The job {job.id} failed: budget: 3 of 7 (too_few_samples)"
    assert job.retry().state is WorkState.QUEUED
    dataset = here.datasets.create(format="builtin", dataset="digits", name="broken")
    finish(DatasetRecord, dataset.id, WorkState.FAILED, error={"code": "x", "message": "y", "field": None})
    with pytest.raises(DatasetFailedError):
        dataset.wait()


def test_a_job_is_cancelled_and_deleted(here, job):
    assert job.cancel().state is WorkState.CANCELLED
    with pytest.raises(WorkCancelledError):
        job.wait()
    with pytest.raises(ConflictError) as raised:
        job.cancel()
    assert raised.value.code == "not_cancellable"
    job.delete()
    assert list(here.jobs.list()) == []


def test_lists_go_on_over_pages(here, target):
    made = [here.jobs.create(target="target", strategy="uniform", budget=n + 2).id for n in range(7)]
    assert [job.id for job in here.jobs.list(limit=3)] == made[::-1]
    assert [job.id for job in here.jobs.list(limit=3, sort="created", state=["queued", "running"])] == made
    first = here.jobs.list(limit=2)
    assert next(first).id == made[-1]
    first.close()
    with pytest.raises(InvalidRequestError):
        next(here.jobs.list(limit=0))


def test_logs_and_metrics_tell_what_the_attempt_told(job, service_database):
    begin(service_database, job.id)
    (line,) = job.logs()
    assert (line.level, line.message) == ("WARNING", NEWS[1].body["message"])
    assert list(job.logs(since=line.number)) == []
    (curve,) = job.metrics().curves
    assert curve.validation_accuracy == [None, 0.5]


def test_previews_make_nothing(here, target, queue):
    before = len(queue.messages)
    assert here.jobs.preview(target="target", strategy="uniform").request["budget"] == 1000
    assert here.selections.preview(target="target").would_reuse is None
    assert here.distances.preview(source="target", target="target").estimate.memory_bytes > 0
    assert len(queue.messages) == before


def test_distances_and_selections_are_handles_too(here, target):
    distance = here.distances.create(source="target", target="target")
    assert (distance.latest.source, distance.state) == ("target", WorkState.QUEUED)
    with pytest.raises(NoResultError):
        _ = distance.value
    assert [one.id for one in here.distances.list(dataset="target")] == [distance.id]
    selection = here.selections.create(target="target", budget=3)
    assert here.selections.get(selection.id).latest == selection.latest
    assert [one.target for one in here.selections.list(target="target")] == ["target"]


def test_keys_and_webhooks_are_made_listed_and_ended(here):
    made = here.keys.create(KeyCreate(name="ci", scopes=frozenset({"read"})))
    assert made.secret.startswith("ot3l_")
    successor = here.keys.rotate(made.id, grace_seconds=60)
    assert {key.id for key in here.keys.list(limit=1)} == {made.id, successor.id}
    assert here.keys.get(made.id).expires_at is not None
    assert here.keys.revoke(successor.id).revoked_at is not None
    webhook = here.webhooks.create(WebhookCreate(url="https://1.1.1.1/hook", events=["job.*"]))
    assert webhook.secret != here.webhooks.rotate(webhook.id).secret
    assert here.webhooks.update(webhook.id, WebhookUpdate(enabled=False)).enabled is False
    assert [one.id for one in here.webhooks.list()] == [webhook.id]
    assert list(here.webhooks.deliveries(webhook.id)) == []
    with pytest.raises(ConflictError, match="switched off"):
        here.webhooks.ping(webhook.id)
    here.webhooks.delete(webhook.id)
    with pytest.raises(NotFoundError):
        here.webhooks.get(webhook.id)


def test_the_awaited_client_does_the_same(url, target, service_database):
    async def go():
        async with AsyncClient(url) as there:
            job = await there.jobs.create(target="target", strategy="uniform")
            seen = []
            end(service_database, begin(service_database, job.id), WorkState.SUCCEEDED, result=RESULT)
            await job.wait(on_progress=seen.append)
            assert [one.id async for one in there.jobs.list()] == [job.id]
            assert [line.level async for line in job.logs()] == ["WARNING"]
            assert (await there.datasets.get("target")).result.n_test == 20
            assert len((await there.backbones()).items) > 50
            assert await job.artifacts() == []
            await job.describe(name="renamed")
            with pytest.raises(ConflictError):
                await job.cancel()
            await job.delete()
            return job.name, len(seen)

    assert asyncio.run(go()) == ("renamed", 1)


def test_a_bar_shows_how_far_it_is(here, job, service_database, capsys):
    held = begin(service_database, job.id)
    with progress_bar("trial") as show:
        show(job.refresh().latest)
        end(service_database, held, WorkState.SUCCEEDED, result=RESULT)
        job.wait(on_progress=show)
    shown = capsys.readouterr()
    assert "trial" in shown.err
    assert "succeeded" in shown.err
    assert shown.out == ""


def test_a_queue_that_is_full_is_no_reason_to_try_again(settings, queue, finish, naps):
    with (
        serving(create_app(settings.model_copy(update={"max_queued": 1}), queue=queue)) as url,
        Client(url) as full,
    ):
        full.datasets.create(format="builtin", dataset="digits")
        with pytest.raises(TooManyRequestsError) as raised:
            full.datasets.create(format="builtin", dataset="mnist-5k")
    assert raised.value.code == "quota_exceeded"
    assert naps == []
