"""The API's own command, as processes that are signalled and killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import httpx2
import psutil
import pytest

from app.local.parts import free_ports
from app.store.migrations import migrate

PATIENCE = 60.0
BODY = b'{"format": "builtin", "dataset": "digits"}'
POST = b"POST /datasets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory, broker_url):
    folder = tmp_path_factory.mktemp("serve")
    migrate(f"sqlite:///{folder / 'ot3l.db'}")
    return os.environ | {"OT3L_DATA_DIR": str(folder), "OT3L_BROKER_URL": broker_url, "TMPDIR": str(folder)}


def until(question):
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def lives(address):
    try:
        return httpx2.get(f"http://{address[0]}:{address[1]}/health/live", timeout=5).is_success
    except httpx2.TransportError:
        return False


@contextmanager
def serving(environment, n_processes):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        command = [sys.executable, "-m", "app.serve", "--fd", str(listener.fileno())]
        process = subprocess.Popen(
            command,
            env=environment | {"OT3L_API_PROCESSES": str(n_processes)},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
    try:
        until(lambda: lives(address) or process.poll() is not None)
        yield address, process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def read_all(client):
    said = b""
    while more := client.recv(1 << 16):
        said += more
    return said


def answering(process):
    """The processes that answer requests."""
    found = set()
    for child in process.children():
        with suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def test_a_flood_kills_nothing_a_kill_loses_nothing_and_a_request_may_end(environment):
    with serving(environment, 2) as (address, process):
        parent = psutil.Process(process.pid)
        first = until(lambda: answering(parent) if len(answering(parent)) == 2 else None)
        for _ in range(4):
            with socket.create_connection(address, PATIENCE) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n" + b"X: 1\r\n" * 300)
                assert read_all(client).split()[1] == b"431"
        assert answering(parent) == first
        os.kill(min(first), signal.SIGKILL)
        until(lambda: len(answering(parent) - first) == 1)
        until(lambda: lives(address))
        with socket.create_connection(address, PATIENCE) as client:
            client.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:10])
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            until(lambda: not lives(address))
            assert process.poll() is None
            client.sendall(BODY[10:])
            assert read_all(client).split()[1] == b"202"
        assert process.wait(PATIENCE) == 0
    assert not [pid for pid in first if psutil.pid_exists(pid)]


def test_a_port_that_is_taken_is_an_error(environment):
    [port] = free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        command = [sys.executable, "-m", "app.serve"]
        refused = subprocess.run(
            command, env=environment | {"OT3L_PORT": str(port)}, capture_output=True, text=True, check=False
        )
    assert refused.returncode != 0
    assert "in use" in refused.stderr


@pytest.mark.slow
def test_an_application_that_does_not_start_is_an_error(environment):
    command = [sys.executable, "-m", "app.serve"]
    wrong = environment | {"OT3L_PORT": "0", "OT3L_BLOB_URL": "nowhere://", "OT3L_API_PROCESSES": "2"}
    assert subprocess.run(command, env=wrong, capture_output=True, check=False, timeout=PATIENCE).returncode != 0
