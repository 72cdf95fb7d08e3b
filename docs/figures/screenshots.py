"""Pictures of the dashboard for the documentation: a service of our own, digits that come in wheels, a Chromium."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from app.client import Client
from app.local.embedded import embedded

IMAGES = Path(__file__).parents[1] / "images"
DESK, PHONE = 1440, 390
TALLEST = 1700
FEATURES: dict[str, Any] = {"input_size": 96, "crop_fraction": 1.0}
STRATEGIES = ("uniform", "coverage", "set_difference", "random_selection", "fitted")


def work(client: Client) -> dict[str, str]:
    """Let the service do what the pictures show; addresses on the dashboard by the pictures' names."""
    for name in ("digits", "mnist-5k"):
        client.datasets.create(format="builtin", dataset=name).wait()
    asked: dict[str, Any] = {"target": "mnist-5k", "source": "digits", "budget": 200, **FEATURES}
    jobs = [client.jobs.create(**asked, strategy=strategy) for strategy in STRATEGIES]
    mixed = client.jobs.create(
        **asked | {"budget": 400}, strategy="mixed", alpha="auto", name="mixed, alpha chosen", tags=["paper"]
    )
    distance = client.distances.create(source="digits", target="mnist-5k", max_samples=2000, **FEATURES)
    selection = client.selections.create(target="mnist-5k", budget=100, pool_labels="clusters", **FEATURES)
    for asked_for in (*jobs, mixed, distance, selection):
        asked_for.wait()
    return {
        "jobs": "/",
        "new-job": "/new?target=mnist-5k&source=digits&strategy=mixed",
        "job": f"/jobs/{mixed.id}",
        "dataset": "/datasets/mnist-5k",
        "distance": f"/distances/{distance.id}",
        "selection": f"/selections/{selection.id}",
    }


def shoot(browser: Browser, url: str, address: str, path: Path, *, width: int, colours: str = "light") -> None:
    """One picture of one page."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{url}/#{address}")
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_timeout(2000)
    height = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
    context.close()


def main() -> None:
    """Take all of them."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with tempfile.TemporaryDirectory(prefix="ot3l-") as folder, embedded(Path(folder)) as service:
        with Client(service.url) as client:
            addresses = work(client)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            for name, address in addresses.items():
                shoot(browser, service.url, address, IMAGES / f"dashboard-{name}.png", width=DESK)
            for name in ("job", "new-job"):
                shoot(browser, service.url, addresses[name], IMAGES / f"dashboard-{name}-phone.png", width=PHONE)
            shoot(browser, service.url, addresses["job"], IMAGES / "dashboard-job-dark.png", width=DESK, colours="dark")
            browser.close()


if __name__ == "__main__":
    main()
