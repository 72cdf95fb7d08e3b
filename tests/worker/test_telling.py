"""What the owner of the work sees of its log: its own lines, bounded, and nothing of the server."""

import logging
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.states import EventKind
from ot3l_core.errors import Cancelled
from ot3l_core.names import Phase
from worker.telling import MAX_LINE_CHARACTERS, MAX_LINES, Order, Reporter, lines_told, plain

names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1)


def lines_of(news):
    return [told.body["message"] for told in news if told.kind is EventKind.LOG]


@given(st.lists(names, min_size=1), names, st.sampled_from(["", "cannot read ", "'", "file://", "path=", "("]))
def test_no_folder_of_the_server_is_shown(folders, name, before):
    shown = plain(before + "/" + "/".join([*folders, name]) + ": damaged")
    assert "/" not in shown
    assert shown.endswith(name + ": damaged")


@pytest.mark.parametrize("harmless", ["1/2 of them", "see https://example.org/a/b", "24 / 7", "train/cat/1.png"])
def test_what_is_no_path_stays(harmless):
    assert plain(harmless) == harmless


@given(st.text())
def test_a_line_is_one_line_that_can_be_stored(text):
    shown = plain(text)
    assert shown.isprintable() or not set(shown) & {chr(code) for code in (*range(32), *range(127, 160))}
    shown.encode()


def test_lines_of_the_core_and_the_worker_are_told_and_no_others():
    reporter = Reporter()
    with lines_told(reporter):
        logging.getLogger("ot3l_core.data").warning("%d images are grey", 3)
        logging.getLogger("worker.tasks").error("failed", exc_info=ValueError("secret"))
        logging.getLogger("sqlalchemy").error("password=secret")
    logging.getLogger("worker").error("too late")
    assert lines_of(reporter.take_news()) == ["3 images are grey", "failed"]


def test_warnings_of_libraries_are_told_without_their_place():
    reporter = Reporter()
    with lines_told(reporter), warnings.catch_warnings():
        warnings.simplefilter("always")
        # Whoever captured them before, in a module that was imported during a test, was undone by pytest unawares.
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("the sky falls", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    [line] = lines_of(reporter.take_news())
    assert line.startswith("test_telling.py:")
    assert line.endswith("UserWarning: the sky falls")


def test_lines_are_bounded_and_the_rest_is_counted():
    reporter = Reporter()
    for number in range(MAX_LINES + 50):
        reporter.tell_line("INFO", "worker", f"{number} " + "x" * 10_000)
    lines = lines_of(reporter.take_last_news())
    assert len(lines) == MAX_LINES + 1
    assert max(map(len, lines)) == MAX_LINE_CHARACTERS
    assert lines[-1].startswith("50 more lines")


def test_what_could_not_be_told_is_told_later_in_order():
    reporter = Reporter()
    reporter.enter(Phase.READING)
    taken = reporter.take_news()
    reporter.enter(Phase.EMBEDDING)
    reporter.put_back(taken)
    assert [told.body["phase"] for told in reporter.take_news()] == ["reading", "embedding"]
    assert reporter.take_news() == []


def test_told_to_stop_every_callback_says_so():
    reporter = Reporter()
    on_progress = reporter.enter(Phase.READING)
    on_progress(0.5)
    reporter.order = Order.CANCEL
    with pytest.raises(Cancelled):
        on_progress(0.6)
    with pytest.raises(Cancelled):
        reporter.enter(Phase.EMBEDDING)
