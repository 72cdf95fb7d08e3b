"""Processes under supervision: real ones, that are killed, that linger, and that leave others behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from app.local.children import Part, StartError, Supervisor, stop_together

PATIENCE = 20.0


def part(name, script, **more):
    return Part(name=name, command=(sys.executable, "-c", textwrap.dedent(script)), **more)


def sleeping(name="sleeper", **more):
    return part(name, "import time; print('up', flush=True); time.sleep(600)", **more)


def until(question):
    deadline = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def supervisor(tmp_path):
    with Supervisor(tmp_path / "logs") as entered:
        yield entered


def test_what_ends_is_started_again_and_what_is_stopped_is_not(supervisor):
    supervisor.start(sleeping("one"), sleeping("two"))
    one, two = supervisor.children["one"], supervisor.children["two"]
    first = one.pid
    two.stop()
    one.kill()
    until(lambda: is_gone(first) and not one.ended and one.pid != first)
    with pytest.raises(StartError, match="two"):
        _ = two.pid
    two.start()
    assert psutil.pid_exists(two.pid)


def test_nothing_is_left_when_the_supervisor_is(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(sleeping("one"))
        supervisor.start(sleeping("two"))
        pids = [child.pid for child in supervisor.children.values()]
    assert all(map(is_gone, pids))


FAMILY = """
    import subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("child", child.pid, flush=True)
    time.sleep(600)
"""


def child_of(child):
    until(lambda: "child" in child.log_path.read_text())
    return int(child.log_path.read_text().split()[-1])


def test_a_child_that_outlives_its_parent_is_ended_before_the_next_start(supervisor):
    supervisor.start(part("parent", FAMILY))
    parent = supervisor.children["parent"]
    orphan, first = child_of(parent), parent.pid
    parent.kill()
    until(lambda: is_gone(orphan) and not parent.ended and parent.pid != first)


def test_the_signal_to_stop_is_for_the_parent_alone_and_the_end_for_all(supervisor):
    supervisor.start(
        part(
            "parent",
            """
            import signal, subprocess, sys, time
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            def tell(*_):
                print("child", child.poll(), flush=True)
                sys.exit()
            signal.signal(signal.SIGINT, tell)
            print("child", child.pid, flush=True)
            time.sleep(600)
            """,
            stop_signal=signal.SIGINT,
            patience=PATIENCE,
        )
    )
    parent = supervisor.children["parent"]
    orphan = child_of(parent)
    parent.stop()
    assert parent.log_path.read_text().split()[-1] == "None"
    until(lambda: is_gone(orphan))


def test_who_does_not_listen_is_ended_and_its_leftovers_deleted(supervisor, tmp_path):
    leftover = tmp_path / "left.sock"
    leftover.touch()
    script = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("up", flush=True)
        time.sleep(600)
    """
    supervisor.start(part("deaf", script, patience=0.2, leftovers=(leftover,)))
    deaf = supervisor.children["deaf"]
    until(lambda: "up" in deaf.log_path.read_text())
    pid = deaf.pid
    deaf.stop()
    assert is_gone(pid)
    assert not leftover.exists()


def test_several_have_the_same_time_to_stop(supervisor):
    script = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), print("left", flush=True), sys.exit()))
        print("up", flush=True)
        time.sleep(600)
    """
    supervisor.start(*(part(f"part-{number}", script, patience=PATIENCE) for number in range(4)))
    children = list(supervisor.children.values())
    until(lambda: all("up" in child.log_path.read_text() for child in children))
    stop_together(children)
    assert all("left" in child.log_path.read_text() for child in children)


def test_a_part_that_ends_at_its_start_says_why(supervisor):
    with pytest.raises(StartError, match=r"(?s)broken ended at its start.*no such luck"):
        supervisor.start(part("broken", "raise SystemExit('no such luck')", is_ready=lambda: False))


def test_a_part_is_awaited_and_sees_its_own_variables(supervisor, tmp_path):
    proof = tmp_path / "proof"

    def is_ready():
        return proof.stat().st_size > 0

    script = (
        "import os, pathlib, time; pathlib.Path(os.environ['PROOF']).write_text(os.environ['PATH']); time.sleep(600)"
    )
    supervisor.start(part("ready", script, environment={"PROOF": str(proof)}, is_ready=is_ready))
    assert proof.read_text() == os.environ["PATH"]


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path):
    script = f"""
        import sys, time
        from pathlib import Path
        from app.local.children import Part, Supervisor
        with Supervisor(Path({str(tmp_path)!r})) as supervisor:
            command = (sys.executable, "-c", {textwrap.dedent(FAMILY)!r})
            supervisor.start(Part(name="gone", command=command), Part(name="parent", command=command))
            supervisor.children["gone"].stop()
            print(supervisor.children["parent"].pid, flush=True)
            time.sleep(600)
    """
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as supervisor:
        parent = int(supervisor.stdout.readline())
        until(lambda: "child" in (tmp_path / "parent.log").read_text())
        orphan = int((tmp_path / "parent.log").read_text().split()[-1])
        supervisor.kill()
    until(lambda: is_gone(parent) and is_gone(orphan))
