"""Stand-ins behind the service's own interfaces; everything else in the tests is real."""

from dataclasses import dataclass, field
from uuid import UUID

from app.errors import UnavailableError
from app.queue import TaskName


@dataclass
class RecordingQueue:
    """A queue that keeps its messages, and can be told to be down."""

    messages: list[tuple[TaskName, UUID]] = field(default_factory=list)
    priorities: list[int] = field(default_factory=list)
    down: bool = False

    def enqueue(self, task: TaskName, work_id: UUID, priority: int) -> None:
        if self.down:
            raise UnavailableError("down")
        self.messages.append((task, work_id))
        self.priorities.append(priority)

    def depth(self) -> int:
        if self.down:
            raise UnavailableError("down")
        return len(self.messages)
