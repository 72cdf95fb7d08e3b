"""Being told to leave: the parent of a worker hears of it, its children compute.

A child ignores the signal itself, which comes to it too where a whole process group gets it, and looks at the moment
that the parent has written into memory that both share.
"""

import math
import mmap
import time

_deadline = memoryview(mmap.mmap(-1, 8)).cast("d")
_deadline[0] = math.inf


def leave_within(seconds: float) -> None:
    """Have this process and those that it forked hand over, in so many seconds, what they still do then."""
    _deadline[0] = time.monotonic() + seconds


def stay() -> None:
    """Take it back."""
    _deadline[0] = math.inf


def is_time_to_leave() -> bool:
    """Whether work is to be handed over by now."""
    return time.monotonic() >= _deadline[0]
