"""Asking for selections over HTTP, and posting jobs that train on them."""

import csv
import io
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from app.errors import InvalidRequestError
from app.queue import TaskName
from app.schemas.selections import Manifest, ManifestSample
from app.services.manifests import parse_labels
from app.states import WorkState
from app.store.blobs import open_blobs
from app.store.jobs import get_work
from app.store.listing import Filters, Order, list_shown
from app.store.records import JobRecord, SelectionArtifactRecord, SelectionRecord

SAMPLES = [f"{number}.png" for number in range(6)]
LABELS = {"0.png": "cat", "3.png": "dog"}


def manifest_of(samples):
    listed = [
        ManifestSample(id=name, file=name, reason="far", score=1.5, group="cluster 0", weight=None, label=None)
        for name in samples
    ]
    return Manifest(
        strategy="mixed", pool_labels="clusters", budget=6, seed=0, n_pool=80, pool_digest="a", shortfall=0,
        samples=listed,
    )  # fmt: skip


@pytest.fixture
def select(client, queue, finish, settings, service_database, tmp_path):
    """A selection from a dataset that has succeeded."""

    def make(target, **body):
        reply = client.post("/selections", json={"target": target, "strategy": "uniform", "budget": 6} | body)
        assert reply.status_code == 202, reply.text
        selection_id = UUID(reply.json()["id"])
        (tmp_path / "manifest").write_text(manifest_of(SAMPLES).model_dump_json())
        open_blobs(settings.resolved_blob_url).put_file("manifest/key", tmp_path / "manifest")
        finish(SelectionRecord, selection_id)
        with service_database.writing() as session:
            session.add(
                SelectionArtifactRecord(
                    selection_id=selection_id,
                    name="manifest.json",
                    key="manifest/key",
                    size=(tmp_path / "manifest").stat().st_size,
                    sha256="0" * 64,
                    media_type="application/json",
                )
            )
            session.commit()
        queue.messages.clear()
        return str(selection_id)

    return make


@pytest.fixture
def unlabelled(register, register_pool, select):
    """A selection from a pool without labels, beside a labelled dataset ``test``."""
    register("test")
    register_pool("pool")
    return {"target": "pool", "selection": select("pool"), "labels": LABELS, "test": "test"}


def refused(reply):
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid_request"), reply.text
    (error,) = reply.json()["errors"]
    return error["field"], error["message"]


def test_a_selection_is_stored_then_enqueued(client, register_pool, queue):
    register_pool("pool")
    queue.messages.clear()
    reply = client.post("/selections", json={"target": "pool", "strategy": "uniform", "budget": 20})
    body = reply.json()
    assert (reply.status_code, reply.headers["Location"]) == (202, f"/selections/{body['id']}")
    assert (body["target"], body["source"], body["state"]) == ("pool", None, "queued")
    assert (body["request"]["budget"], body["request"]["seed"]) == (20, 0)
    assert queue.messages == [(TaskName.SELECT_SAMPLES, UUID(body["id"]))]
    assert client.get(reply.headers["Location"]).json() == body
    assert [item["id"] for item in client.get("/selections").json()["items"]] == [body["id"]]
    early = client.get(reply.headers["Location"] + "/artifacts/manifest.csv")
    assert (early.status_code, early.json()["type"]) == (409, "not_ready")
    assert client.get(f"/selections/{UUID(int=0)}").status_code == 404


def test_a_target_is_all_that_must_be_named(client, register_pool):
    register_pool("pool")
    body = client.post("/selections", json={"target": "pool"}).json()
    assert (body["request"]["strategy"], body["source"]) == ("coverage", None)


def test_labels_are_what_the_pool_has(client, register, register_pool):
    register("target")
    register_pool("pool")

    def pool_labels(**body):
        return client.post("/selections", json={"strategy": "uniform"} | body).json()["request"]["pool_labels"]

    assert pool_labels(target="target") == "given"
    assert pool_labels(target="target", pool_labels="clusters") == "clusters"
    assert pool_labels(target="pool") is None
    assert pool_labels(target="pool", strategy="coverage") is None
    assert pool_labels(target="pool", strategy="medoids") == "clusters"
    assert pool_labels(target="pool", source="target") == "clusters"
    assert pool_labels(target="pool", n_classes=9) == "clusters"
    assert pool_labels(target="pool", pool_labels="predictions", n_classes=80) == "predictions"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"target": "none"}, "target"),
        ({"pool_labels": "given"}, "pool_labels"),
        ({"pool_labels": "guessed"}, "pool_labels"),
        ({"n_classes": 81}, "n_classes"),
        ({"n_classes": 11, "pool_size": 10}, "n_classes"),
        ({"target": "labelled", "n_classes": 5}, "n_classes"),
        ({"strategy": "mixed"}, "source"),
        ({"strategy": "mixed", "source": "pool"}, "source"),
        ({"budget": 1}, "budget"),
        ({"alpha": [0.0, 1.0]}, "alpha"),
        ({"weights": "nothing.safetensors"}, "weights"),
        ({"seeds": [1]}, "seeds"),
    ],
)
def test_a_bad_selection_names_its_field(client, register, register_pool, queue, body, field):
    register("labelled")
    register_pool("pool")
    queue.messages.clear()
    reply = client.post("/selections", json={"target": "pool", "strategy": "uniform"} | body)
    assert refused(reply)[0] == field
    assert queue.messages == []


def test_work_that_needs_labels_says_how_to_come_by_them(client, register, register_pool):
    register("labelled")
    register_pool("pool")
    assert not client.get("/datasets/pool").json()["labelled"]
    assert client.get("/datasets/labelled").json()["labelled"]
    field, message = refused(client.post("/jobs", json={"target": "pool", "strategy": "uniform"}))
    assert field == "target"
    assert "POST /selections" in message
    assert refused(client.post("/distances", json={"source": "labelled", "target": "pool"}))[0] == "target"


def test_only_some_formats_may_lack_labels(client):
    reply = client.post("/datasets", json={"format": "builtin", "dataset": "digits", "labelled": False})
    assert refused(reply)[0] == "labelled"


def test_a_job_takes_its_samples_and_their_choice_from_a_selection(
    client, register, register_pool, select, queue, service_database
):
    register("source")
    register("test")
    register_pool("pool")
    chosen = {"strategy": "mixed", "alpha": 0.25, "source": "source", "class_fraction": 0.5}
    selection = select("pool", **chosen)
    reply = client.post("/jobs", json={"target": "pool", "selection": selection, "labels": LABELS, "test": "test"})
    assert reply.status_code == 202, reply.text
    body = reply.json()
    assert (body["target"], body["source"], body["strategy"], body["alpha"]) == ("pool", "source", "mixed", 0.25)
    told = {**chosen, "budget": 6, "selection": selection, "test": "test"}
    assert body["request"].items() >= told.items()
    assert "labels" not in body["request"]
    assert queue.messages == [(TaskName.TRANSFER, UUID(body["id"]))]
    with service_database.reading() as session:
        manifest = get_work(session, JobRecord, UUID(body["id"])).manifest
    assert (str(manifest.selection.id), manifest.test.name, manifest.labels) == (selection, "test", LABELS)
    assert [item["id"] for item in client.get("/jobs").json()["items"]] == [body["id"]]


def test_a_labelled_target_needs_no_labels_and_no_other_test(client, register, select, service_database):
    register("target")
    reply = client.post("/jobs", json={"target": "target", "selection": select("target")})
    assert reply.status_code == 202, reply.text
    with service_database.reading() as session:
        manifest = get_work(session, JobRecord, UUID(reply.json()["id"])).manifest
        assert (manifest.labels, manifest.test) == (None, None)


def test_a_table_that_was_filled_in_gives_the_same_labels(client, unlabelled, service_database):
    text = io.StringIO()
    table = csv.writer(text)
    table.writerows([("id", "reason", "label"), *((name, "far", LABELS.get(name, "")) for name in SAMPLES)])
    body = {name: value for name, value in unlabelled.items() if name != "labels"}
    reply = client.post("/jobs", json=body | {"labels_csv": text.getvalue()})
    assert reply.status_code == 202, reply.text
    with service_database.reading() as session:
        assert get_work(session, JobRecord, UUID(reply.json()["id"])).manifest.labels == LABELS


@pytest.mark.parametrize(
    ("body", "field", "hint"),
    [
        ({"strategy": "uniform"}, "strategy", "selection's"),
        ({"alpha": 0.5}, "alpha", "selection's"),
        ({"budget": 1000}, "budget", "selection's"),
        ({"source": "test"}, "source", "selection's"),
        ({"selection": str(UUID(int=7))}, "selection", "POST /selections"),
        ({"target": "test"}, "selection", "'pool'"),
        ({"labels": {"0.png": "cat", "3.png": "dog", "9.png": "cat"}}, "labels", "'9.png'"),
        ({"labels": {"0.png": "cat", "3.png": "cow"}}, "labels", "'cow'"),
        ({"labels": {"0.png": "cat", "3.png": "cat", "4.png": " "}}, "labels", "at least 2"),
        ({"labels": {}}, "labels", "at least 2"),
        ({"labels": None}, "labels", "no labels"),
        ({"labels_csv": "id,label\n0.png,cat\n"}, "labels_csv", "one of the two"),
        ({"labels": None, "labels_csv": "id,label\n0.png,cat\n"}, "labels_csv", "at least 2"),
        ({"labels": None, "labels_csv": "name,label\n0.png,cat\n"}, "labels_csv", "'id'"),
        ({"labels": None, "labels_csv": "id,label\n0.png,cat\n9.png,dog\n"}, "labels_csv", "'9.png'"),
        ({"labels": None, "labels_csv": "id,label\n0.png,cat\n3.png,cow\n"}, "labels_csv", "'cow'"),
        ({"test": None}, "test", "name a labelled dataset"),
        ({"test": "pool"}, "test", "name a labelled dataset"),
        ({"test": "none"}, "test", "POST /datasets"),
        ({"selection": None}, "labels", "selection"),
    ],
)
def test_a_job_that_does_not_fit_its_selection_names_its_field(client, unlabelled, queue, body, field, hint):
    said = refused(client.post("/jobs", json=unlabelled | body))
    assert said[0] == field
    assert hint in said[1]
    assert queue.messages == []


def test_a_job_is_not_tested_on_what_it_was_trained_on(client, register, select):
    register("untested", {"classes": [{"name": n, "pool": 9, "test": 0} for n in ("cat", "dog")], "n_pool": 18,
                          "n_test": 0})  # fmt: skip
    selection = select("untested")
    for body in ({}, {"test": "untested"}, {"labels": LABELS}):
        reply = client.post("/jobs", json={"target": "untested", "selection": selection} | body)
        assert refused(reply)[0] == "test"


def test_a_target_with_a_class_that_the_test_lacks_is_refused(client, register, select):
    entries = [{"name": name, "pool": 9, "test": 5} for name in ("cat", "cow", "dog")]
    register("target", {"classes": entries, "n_pool": 27, "n_test": 15})
    register("test")
    reply = client.post("/jobs", json={"target": "target", "selection": select("target"), "test": "test"})
    field, message = refused(reply)
    assert field == "test"
    assert "'cow'" in message


def test_lists_read_neither_results_nor_labels(client, unlabelled, service_database):
    assert client.post("/jobs", json=unlabelled).status_code == 202
    statements = []
    event.listen(service_database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    for kind in (JobRecord, SelectionRecord):
        with service_database.reading() as session:
            newest = Order("created_at", descending=True)
            assert len(list_shown(session, kind, "local", Filters(), newest, after=None, limit=5)) == 1
    assert not [statement for statement in statements if "result" in statement or "labels" in statement]


@pytest.mark.parametrize("state", [WorkState.FAILED, WorkState.CANCELLED, None])
def test_a_selection_that_has_not_succeeded_is_not_ready(client, register, finish, state):
    register("target")
    selection = client.post("/selections", json={"target": "target", "strategy": "uniform"}).json()["id"]
    if state is not None:
        error = {"code": "corrupt_image", "message": "torn", "field": None} if state is WorkState.FAILED else None
        finish(SelectionRecord, UUID(selection), state, error=error)
    reply = client.post("/jobs", json={"target": "target", "selection": selection})
    assert (reply.status_code, reply.json()["type"]) == (409, "not_ready")


def test_a_manifest_that_the_store_lost_is_unavailable(client, unlabelled, settings):
    (settings.data_dir / "blobs" / "manifest" / "key").unlink()
    reply = client.post("/jobs", json=unlabelled)
    assert (reply.status_code, reply.json()["type"]) == (503, "unavailable")


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)


@given(labels=st.dictionaries(names, names, max_size=5), delimiter=st.sampled_from(",;\t"), mark=st.booleans())
def test_labels_survive_a_spreadsheet(labels, delimiter, mark):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([("id", "file", "label"), *((i, "", n) for i, n in labels.items())])
    assert parse_labels("\ufeff" * mark + text.getvalue()) == labels


@pytest.mark.parametrize(
    "text", ["", "id;name\n", 'id,label\n"0.png', "id,label\n" + "x" * 200_000, "id,label\na,x\na,y\n"]
)
def test_what_is_no_filled_in_manifest_is_refused(text):
    with pytest.raises(InvalidRequestError) as caught:
        parse_labels(text)
    assert caught.value.detail.startswith("labels_csv: ")


def test_rows_that_end_early_have_no_label():
    assert parse_labels("id,reason,label\na,far,cat\nb\n,,\n") == {"a": "cat", "b": "", "": ""}
