import logging
import threading
from uuid import uuid4

import pytest

from app.errors import UnavailableError
from app.local.parts import free_ports
from app.queue import MOST_AT_ONCE, BackgroundQueue, CeleryQueue, Message, TaskName, build_celery

PATIENCE = 20.0


def messages(count):
    return [Message(TaskName.TRANSFER, uuid4(), number % 10) for number in range(count)]


class Gated:
    """A queue whose broker answers when it is told to."""

    def __init__(self):
        self.batches = []
        self.answers = threading.Event()
        self.down = False

    def send(self, sent):
        assert self.answers.wait(PATIENCE)
        if self.down:
            raise UnavailableError("down")
        self.batches.append(list(sent))

    def depth(self):
        return sum(map(len, self.batches))


def test_what_comes_while_the_broker_is_slow_goes_together_and_in_order():
    gated = Gated()
    queue = BackgroundQueue(gated)
    sent = messages(2 * MOST_AT_ONCE + 1)
    for message in sent:
        queue.send([message])
    gated.answers.set()
    queue.close()
    assert [message for batch in gated.batches for message in batch] == sent
    assert max(map(len, gated.batches)) == MOST_AT_ONCE


def test_messages_that_are_still_here_count_as_waiting():
    gated = Gated()
    queue = BackgroundQueue(gated)
    queue.send(messages(MOST_AT_ONCE + 5))
    assert queue.depth() >= 5
    gated.answers.set()
    queue.close()
    assert queue.depth() == MOST_AT_ONCE + 5


def test_a_broker_that_is_down_costs_the_messages_and_not_the_sender(caplog):
    gated = Gated()
    gated.answers.set()
    gated.down = True
    queue = BackgroundQueue(gated)
    with caplog.at_level(logging.WARNING):
        queue.send(messages(3))
        queue.close()
    assert (gated.batches, [record.args for record in caplog.records]) == ([], [(3,)])
    queue = BackgroundQueue(gated)
    gated.down = False
    queue.send(messages(2))
    queue.close()
    assert gated.depth() == 2


def test_the_real_queue_holds_all_that_was_sent_at_once(settings, broker_url):
    queue = CeleryQueue(build_celery(settings.model_copy(update={"broker_url": broker_url})))
    before = queue.depth()
    queue.send(messages(25))
    assert queue.depth() == before + 25


def test_a_broker_that_is_not_there_is_an_error_that_says_so(settings):
    [free_port] = free_ports(1)
    queue = CeleryQueue(build_celery(settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port}/0"})))
    with pytest.raises(UnavailableError):
        queue.send(messages(1))
    with pytest.raises(UnavailableError):
        queue.depth()
