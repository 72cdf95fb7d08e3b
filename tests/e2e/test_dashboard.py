"""The dashboard as its users have it: in a real browser, against a real service, at a desk and on a phone.

Needs a Chromium: Debian's, or that of `playwright install chromium`; without one these tests are skipped.
"""

import hashlib
import shutil
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, expect, sync_playwright

from app.settings import AuthMode
from app.states import WorkState
from app.store import work
from app.store.records import DatasetRecord, DistanceRecord
from app.store.sessions import open_database
from tests.app.conftest import SUMMARY
from tests.e2e.conftest import SMALL
from tests.generators.pictures import files_of, separable_tree
from tests.serving import make_key, served

DESK, PHONE = 1440, 390
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PATIENCE = 60_000
SERIOUS = {"serious", "critical"}
PAGES = ("", "new?target=mnist-5k&strategy=mixed", "datasets", "datasets/new", "datasets/mnist-5k", "distances")
PAGES += ("distances/new", "selections", "selections/new?target=digits", "nowhere")


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        except Error as error:
            if "Executable doesn't exist" not in str(error):
                raise
            pytest.skip("there is no Chromium here: install Debian's, or run `playwright install chromium`")
        yield browser
        browser.close()


@contextmanager
def visiting(chromium, url, *, width=DESK, colours="light"):
    """A page that may speak to its own service and to nobody else, and whose scripts run without an error."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=colours, base_url=url)
    complaints, addresses = [], []
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    page.on("request", lambda request: addresses.append(request.url))
    yield page
    context.close()
    # A browser writes a line of its own for each answer that is no success.
    assert [line for line in complaints if "Failed to load resource" not in line] == []
    assert [address for address in addresses if not address.startswith((url, "blob:"))] == []


def what_keeps_people_out(page):
    """What axe finds serious."""
    found = Axe().run(page).response["violations"]
    return [(entry["id"], entry["nodes"][0]["html"]) for entry in found if entry["impact"] in SERIOUS]


@pytest.fixture(scope="module")
def work_done(service):
    """Where one of everything is that has succeeded."""
    features = {"input_size": SMALL["input_size"], "crop_fraction": 1.0}
    requests = (
        (
            "/jobs",
            SMALL
            | {
                "alpha": [0.0, 1.0],
                "budget": 250,
                "pool_size": 1000,
                "fine_tune": {"blocks": 1, "epochs": 2},
                "tags": ["looked-at"],
            },
        ),
        ("/distances", {"source": "digits", "target": "mnist-5k", "max_samples": 200, **features}),
        ("/distances", {"datasets": ["digits", "mnist-5k"], "max_samples": 150, **features}),
        ("/selections", {"target": "digits", "budget": 20, "pool_size": 200, **features}),
    )
    return [f"{path}/{service.run(path, body)['id']}" for path, body in requests]


def test_from_a_folder_to_a_checkpoint(service, chromium, tmp_path):
    folder = tmp_path / "brought"
    for name, content in files_of({"": separable_tree({"dark": 30, "grey": 30, "light": 30}, side=48)}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with visiting(chromium, service.local.url) as page:
        page.goto("/")
        page.get_by_role("link", name="Datasets", exact=True).click()
        page.get_by_role("link", name="Add a dataset").click()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose a folder").click()
        chooser.value.set_files(folder)
        expect(page.get_by_text("90 pictures in 3 folders")).to_be_visible()
        page.get_by_role("button", name="Add the dataset").click()
        expect(page.get_by_role("heading", name="brought", level=1)).to_be_visible()
        expect(page.locator(".state")).to_contain_text("succeeded")
        page.get_by_role("link", name="Train on it").click()
        page.get_by_label("budget", exact=True).fill("30")
        page.get_by_text("Images and features").click()
        page.get_by_label("input size", exact=True).fill("48")
        expect(page.get_by_role("region", name="Estimate")).to_contain_text("about")
        page.get_by_role("button", name="Start the job").click()
        # Nothing is loaded anew: the page follows the job by its events.
        with page.expect_download() as download:
            page.get_by_role("button", name="Download checkpoint").click()
        job = service.get(f"/jobs/{page.url.rsplit('/', 1)[1]}")
        found = job["result"]["checkpoint"]
        assert found["accuracy"] > 0.5
        expect(page.get_by_text(f"{found['n_correct']} of {found['n_test']}").first).to_be_visible()
        digest = hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest()
    assert digest == next(file["sha256"] for file in job["artifacts"] if file["name"] == "checkpoint.safetensors")


@pytest.mark.parametrize(("width", "colours"), [(DESK, "light"), (PHONE, "dark")])
def test_every_page_fits_and_is_open_to_everybody(service, chromium, work_done, width, colours):
    with visiting(chromium, service.local.url, width=width, colours=colours) as page:
        for address in (*PAGES, *(location[1:] for location in work_done)):
            page.goto(f"/#/{address}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.get_by_text("Loading …")).to_have_count(0)
            assert what_keeps_people_out(page) == [], address
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_a_form_is_filled_in_by_keys_alone_and_tells_what_is_wrong_where_it_is(service, chromium):
    with visiting(chromium, service.local.url) as page:
        page.goto("/#/new?target=mnist-5k&source=digits&strategy=mixed")
        page.get_by_role("slider", name="alpha").focus()
        page.keyboard.press("ArrowRight")
        page.get_by_text("As a request").click()
        expect(page.locator("aside pre")).to_contain_text('"alpha": 0.55')
        page.get_by_label("budget", exact=True).fill("1")
        expect(page.locator(".field.wrong", has_text="Budget")).to_contain_text("greater than or equal to 2")


def test_the_document_can_be_read_and_tried(service, chromium):
    with visiting(chromium, service.local.url) as page:
        page.goto("/docs")
        expect(page.get_by_role("heading", name="OT3L")).to_be_visible()
        page.locator("#operations-health-get_liveness, [id^='operations-health-']").first.click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        expect(page.locator(".live-responses-table .response").first).to_contain_text("200")


def test_thumbnails_are_pictures_of_what_they_say(service, chromium, work_done):
    with visiting(chromium, service.local.url) as page:
        for address in ("/datasets/mnist-5k", work_done[0], work_done[3]):
            page.goto(f"/#{address}")
            first = page.locator(".thumb").first
            expect(first).to_be_visible()
            assert first.evaluate("thumb => getComputedStyle(thumb).backgroundImage").startswith('url("blob:')
            assert first.get_attribute("aria-label")


@pytest.fixture
def keyed(settings):
    """The address of a service that asks for a key, and one of its keys."""
    key = make_key(settings.resolved_database_url)
    with served(settings.model_copy(update={"auth": AuthMode.ON})) as url:
        yield url, key


def test_a_key_is_asked_for_and_forgotten(keyed, chromium):
    url, key = keyed
    with visiting(chromium, url) as page:
        page.goto("/")
        dialog = page.get_by_role("dialog", name="The service asks for a key")
        expect(dialog).to_be_visible()
        assert what_keeps_people_out(page) == []
        dialog.get_by_label("Key").fill(key)
        dialog.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("heading", name="From your images to a network")).to_be_visible()
        assert page.evaluate("Object.keys(localStorage).length") == 0
        page.get_by_role("button", name="Forget the key").click()
        expect(dialog).to_be_visible()


def finish(settings, kind, work_id, **values):
    """End work as a worker would."""
    database = open_database(settings.resolved_database_url)
    with database.writing() as session:
        held = work.claim(session, kind, UUID(work_id), lease_seconds=60)
        work.finish(session, held, WorkState.SUCCEEDED, **values)
        session.commit()
    database.close()


def a_large_pair(n_source, n_target):
    """What a distance between many classes comes to."""
    sources, targets = (
        [f"{side} {index}" for index in range(count)] for side, count in (("s", n_source), ("t", n_target))
    )
    values = np.random.default_rng(0).random((n_source, n_target)).round(4)
    nearest = values.argmin(axis=0)
    classes = [
        {"name": name, "score": 1.0, "nearest_source": sources[place], "nearest_distance": float(values[place, index])}
        for index, (name, place) in enumerate(zip(targets, nearest, strict=True))
    ]
    certificate = {"value": 1.0, "lower": 0.9, "upper": 1.0, "gap_percent": 10.0, "converged": True, "n_iterations": 3}
    return values, {
        "kind": "pair",
        "dataset_distance": certificate | {"spread": None},
        "source_classes": sources,
        "target_classes": targets,
        "label_distances": values.tolist(),
        "classes": classes,
        "rank_stability": None,
        "n_source": n_source,
        "n_target": n_target,
    }


def test_a_heatmap_of_a_thousand_by_a_hundred_classes_is_walked_over(settings, chromium):
    values, result = a_large_pair(1000, 100)
    with served(settings) as url:
        for name in ("digits", "mnist-5k"):
            made = httpx2.post(f"{url}/datasets", json={"format": "builtin", "dataset": name}).raise_for_status().json()
            finish(settings, DatasetRecord, made["id"], digest="0" * 64, result=SUMMARY)
        asked = {"source": "digits", "target": "mnist-5k"}
        distance = httpx2.post(f"{url}/distances", json=asked).raise_for_status().json()["id"]
        finish(settings, DistanceRecord, distance, result=result)
        with visiting(chromium, url) as page:
            page.goto(f"/#/distances/{distance}")
            heatmap = page.get_by_role("application", name="Distances between classes")
            heatmap.focus()
            for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
                page.keyboard.press(key)
            told = page.locator(".matrix .told")
            expect(told).to_have_text(f"source class s 501, target class t 52: {values[501, 52]:.2f}")
            page.get_by_role("button", name="Zoom in").click()
            page.get_by_label("nearest first").check()
            heatmap.focus()
            page.keyboard.press("ArrowUp")
            expect(told).to_contain_text("target class t")
