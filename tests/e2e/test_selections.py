"""From a folder that nobody has labelled to a checkpoint, over HTTP, on real images with a real ImageNet network."""

import csv
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

SMALL = {"input_size": 32, "crop_fraction": 1.0}
TRAINING = {"seeds": [0, 1], "test_size": 150, "training": {"epochs": 20, "hidden": 64, "learning_rate": 0.003}}


def save(folder, names):
    """Digits as image files, each under a name of the caller's."""
    digits = load_digits()
    for index, label in enumerate(digits.target[:150].tolist()):
        path = folder / names(index, label)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[index] * 15).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def truth(service, uploads):
    """The same images twice, with and without labels; file names alone tell who knows the labels."""
    save(uploads / "sorted", lambda index, label: f"{label}/{index}.png")
    service.run("/datasets", {"format": "image_folder", "path": "sorted", "test_fraction": 0})
    body = {"format": "image_folder", "path": "sorted", "name": "unsorted", "labelled": False}
    dataset = service.run("/datasets", body)
    assert dataset["result"] == {"classes": [], "n_pool": 150, "n_test": 0}
    shown = service.get("/datasets/unsorted/artifacts/gallery.json")["images"]
    assert [image["class"] for image in shown] == [None] * 150
    return {f"{label}/{index}.png": str(label) for index, label in enumerate(load_digits().target[:150].tolist())}


def manifest(service, selection):
    path = f"/selections/{selection['id']}/artifacts"
    table = service.client.get(f"{path}/manifest.csv").raise_for_status().text
    listed = service.client.get(f"{path}/manifest.json").raise_for_status().json()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["id"] for row in rows] == [sample["id"] for sample in listed["samples"]]
    return listed, rows


def filled_in(rows, truth):
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(row | {"label": truth[row["file"]]} for row in rows)
    return text.getvalue()


def test_labels_for_a_few_of_many_images_make_a_checkpoint(service, truth, tmp_path):
    body = {**SMALL, "target": "unsorted", "strategy": "mixed", "source": "mnist-5k", "source_size": 200, "budget": 60}
    selection = service.run("/selections", body | {"n_classes": 12})
    result = selection["result"]
    assert (result["pool_labels"], result["size"], result["n_pool"], result["n_source"]) == ("clusters", 60, 150, 200)
    assert sum(group["pool"] for group in result["groups"]) == 150
    assert sum(group["chosen"] for group in result["groups"]) == 60
    assert {entry["name"] for entry in result["class_distances"]} == {group["name"] for group in result["groups"]}
    _, rows = manifest(service, selection)
    assert {row["reason"] for row in rows} == {"far", "near"}
    assert all(row["file"] == row["id"] and row["score"] and not row["label"] for row in rows)
    shown = service.get(f"/selections/{selection['id']}/artifacts/gallery.json")["images"]
    told = [(image["id"], image["class"], image["reason"], str(image["score"])) for image in shown]
    assert told == [(row["id"], row["group"], row["reason"], row["score"]) for row in rows]
    labelled = filled_in(rows[:50], truth)
    job = {**SMALL, **TRAINING, "target": "unsorted", "selection": selection["id"], "test": "digits"}
    done = service.run("/jobs", job | {"labels_csv": labelled})
    chosen = done["result"]["selection"]
    assert (chosen["size"], chosen["n_unlabelled"], sum(chosen["per_class"])) == (50, 10, 50)
    assert (done["result"]["n_pool"], done["result"]["n_test"]) == (150, 150)
    assert (done["strategy"], done["source"]) == ("mixed", "mnist-5k")
    assert done["result"]["phases"][-1]["accuracy"]["mean"] > 0.4
    path = f"/jobs/{done['id']}"
    trained = list(csv.DictReader(io.StringIO(service.client.get(f"{path}/artifacts/selection.csv").text)))
    expected = {(seed, row["id"], truth[row["file"]], row["reason"]) for seed in "01" for row in rows[:50]}
    assert {(row["seed"], row["sample"], row["label"], row["reason"]) for row in trained} == expected
    checkpoint = service.client.get(f"{path}/checkpoint")
    assert checkpoint.headers["ETag"].strip('"') in {artifact["sha256"] for artifact in done["artifacts"]}
    by_id = {row["id"]: truth[row["file"]] for row in rows[:50]}
    again = service.run("/jobs", job | {"labels": by_id})
    assert service.client.get(f"/jobs/{again['id']}/checkpoint").content == checkpoint.content


@pytest.mark.parametrize("pool_labels", ["clusters", "predictions"])
def test_a_choice_without_labels_does_not_see_them(service, truth, pool_labels):
    body = {**SMALL, "strategy": "mixed", "source": "mnist-5k", "source_size": 200, "pool_size": 100, "budget": 30}
    listings = []
    for target in ("sorted", "unsorted"):
        selection = service.run("/selections", body | {"target": target, "pool_labels": pool_labels})
        listings.append(manifest(service, selection))
        assert not {row["group"] for row in listings[-1][1]} & set(truth.values())
    assert listings[0] == listings[1]


def test_a_selection_that_needs_nothing_says_what_it_stands_for(service, truth):
    body = {**SMALL, "target": "unsorted", "budget": 40}
    selection = service.run("/selections", body)
    result = selection["result"]
    assert (result["pool_labels"], result["groups"], result["class_distances"]) == (None, [], [])
    assert result["quantisation_error"] > 0
    _, rows = manifest(service, selection)
    assert {row["reason"] for row in rows} == {"medoid"}
    assert not any(row["group"] or row["label"] or row["score"] for row in rows)
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(1.0)
    more = service.run("/selections", body | {"budget": 80})
    assert more["result"]["quantisation_error"] < result["quantisation_error"]
    job = {**SMALL, **TRAINING, "target": "unsorted", "selection": selection["id"], "test": "digits", "seeds": [0]}
    tuned = service.run("/jobs", job | {"labels_csv": filled_in(rows, truth), "fine_tune": {"blocks": 1, "epochs": 1}})
    assert [phase["phase"] for phase in tuned["result"]["phases"]][1:] == ["coverage", "coverage+fine_tuned"]
    text = service.client.get(f"/jobs/{tuned['id']}/artifacts/selection.csv").text
    trained = {row["sample"]: row["share"] for row in csv.DictReader(io.StringIO(text))}
    assert trained == {row["id"]: row["weight"] for row in rows}


def test_a_labelled_pool_is_trained_on_exactly_what_was_chosen(service):
    body = {**SMALL, "target": "mnist-5k", "strategy": "stratified", "budget": 50, "pool_size": 300}
    selection = service.run("/selections", body)
    assert {group["chosen"] for group in selection["result"]["groups"]} == {5}
    listed, rows = manifest(service, selection)
    assert all(row["label"] == row["group"] and not row["file"] for row in rows)
    done = service.run("/jobs", {**SMALL, **TRAINING, "target": "mnist-5k", "selection": selection["id"]})
    text = service.client.get(f"/jobs/{done['id']}/artifacts/selection.csv").text
    trained = {(row["sample"], row["label"]) for row in csv.DictReader(io.StringIO(text))}
    assert trained == {(sample["id"], sample["label"]) for sample in listed["samples"]}
    assert done["result"]["selection"]["n_unlabelled"] == 0
    assert done["request"]["selection"] == selection["id"]


def test_samples_of_one_class_teach_nothing(service, uploads):
    save(uploads / "lopsided", lambda index, _: f"{'rest' if index else 'first'}/{index}.png")
    service.run("/datasets", {"format": "image_folder", "path": "lopsided", "test_fraction": 0.1})
    body = {**SMALL, "target": "lopsided", "strategy": "uniform", "budget": 2}
    selection = service.run("/selections", body)
    failed = service.wait(service.post("/jobs", {**SMALL, "target": "lopsided", "selection": selection["id"]}))
    assert (failed["state"], failed["error"]["code"], failed["error"]["field"]) == (
        "failed",
        "too_few_samples",
        "selection",
    )
