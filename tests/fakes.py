"""Stand-ins behind the service's own interfaces; everything else in the tests is real."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.errors import UnavailableError
from app.queue import Message, TaskName


@dataclass
class RecordingQueue:
    """A queue that keeps its messages, and can be told to be down."""

    messages: list[tuple[TaskName, UUID]] = field(default_factory=list)
    priorities: list[int] = field(default_factory=list)
    down: bool = False

    def send(self, messages: Sequence[Message]) -> None:
        if self.down:
            raise UnavailableError("down")
        self.messages += [(message.task, message.work_id) for message in messages]
        self.priorities += [message.priority for message in messages]

    def depth(self) -> int:
        if self.down:
            raise UnavailableError("down")
        return len(self.messages)
