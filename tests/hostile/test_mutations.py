"""Damaged files of every kind are read, or end in a typed error, in bounded memory."""

import resource
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.law import judge
from tests.hostile.seeds import SEEDS

INPUTS = 200  # of each kind
GIGABYTES = 6
FILES = {kind: make() for kind, make in SEEDS.items()}
NUMBERS = [0, 1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]

places = st.integers(0, 2**16)
flips = st.tuples(st.just("flip"), places, st.integers(1, 255))
cuts = st.tuples(st.just("cut"), places, st.integers(1, 2000))
ends = st.tuples(st.just("end"), places)
copies = st.tuples(st.just("copy"), places, places, st.integers(1, 300))
lengths = st.tuples(st.just("length"), places, st.sampled_from(NUMBERS), st.sampled_from([1, 2, 4, 8]), st.booleans())
damage = st.lists(st.one_of(flips, cuts, ends, copies, lengths), min_size=1, max_size=3)


def damaged(content, changes):
    """A file after some changes; places are counted from its start and go round."""
    for change in changes:
        if not content:
            break
        at = change[1] % len(content)
        match change:
            case "flip", _, mask:
                content = content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]
            case "cut", _, size:
                content = content[:at] + content[at + size :]
            case "end", _:
                content = content[:at]
            case "copy", _, other, size:
                content = content[:at] + content[other % len(content) :][:size] + content[at:]
            case "length", _, number, size, big:
                written = (number % 256**size).to_bytes(size, "big" if big else "little")
                content = content[:at] + written + content[at + size :]
    return content


@contextmanager
def bounded_memory():
    """What is asked for beyond some gigabytes is refused, as on a machine that has no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + GIGABYTES * 2**30, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


@pytest.mark.parametrize("kind", SEEDS)
def test_a_damaged_file_keeps_the_law(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = set()

    @settings(max_examples=INPUTS, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(content=st.sampled_from(FILES[kind]), changes=damage)
    def try_one(content, changes):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
            seen.add(judge(kind, damaged(content, changes), Path(folder)))

    with bounded_memory():
        try_one()
    assert len(seen) > 1, "nothing was damaged, or nothing was read"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", SEEDS)
def test_what_is_not_damaged_is_read(kind, tmp_path):
    for number, content in enumerate(FILES[kind]):
        (tmp_path / str(number)).mkdir()
        assert judge(kind, content, tmp_path / str(number)) is None
