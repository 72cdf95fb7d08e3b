"""The commands that leave a service running."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import httpx2
import numpy as np
import psutil
import pytest
from sklearn.datasets import load_digits

SHAPES = ["embedded", "production"]


def wait_for(url, location):
    deadline = time.monotonic() + 120
    while (work := httpx2.get(url + location).json())["finished_at"] is None:
        assert time.monotonic() < deadline, work
        time.sleep(0.1)
    assert work["state"] == "succeeded", work["error"]
    return work


@pytest.mark.parametrize("shape", SHAPES)
def test_a_job_needs_no_source_and_a_signal_ends_it_all(tmp_path, shape):
    digits = load_digits()
    np.savez(tmp_path / "mine.npz", x=(digits.images[:200] * 15).astype(np.uint8), y=digits.target[:200])
    command = [sys.executable, "-m", f"app.local.{shape}", "--data-dir", str(tmp_path / "data"), "--port", "0"]
    environment = dict(os.environ)
    if shape == "embedded":
        # Settings of another service in the same shell must not reach this one.
        environment["OT3L_DATABASE_URL"] = "postgresql://nowhere.invalid/production"
    with subprocess.Popen(
        [*command, "--roots", str(tmp_path)], stderr=subprocess.PIPE, text=True, env=environment
    ) as service:
        try:
            url = re.search(r"http://[0-9.:]+", service.stderr.readline()).group()
            wait_for(url, "/datasets/digits")
            wait_for(
                url, httpx2.post(f"{url}/datasets", json={"format": "npz", "path": "mine.npz"}).headers["Location"]
            )
            reply = httpx2.post(
                f"{url}/jobs", json={"target": "mine", "strategy": "mixed", "alpha": 0.5, "input_size": 32}
            )
            assert wait_for(url, reply.headers["Location"])["source"] == "digits"
        finally:
            service.send_signal(signal.SIGTERM)
            assert service.wait(60) == 0
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"{url}/health/live", timeout=2)
    assert not processes_of(tmp_path)


def processes_of(folder):
    """Processes, whoever started them, that were told of this folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(folder) in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(process)
    return found
