"""Ends what a supervisor leaves behind when it is killed before it could stop its children.

It is told of sessions on standard input, a number a line: one that began, or, negative, one that ended.
When the input ends, so do they.
"""

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def main(lines: Iterable[str]) -> None:
    """Follow the sessions until nobody is left to tell of them, then end those that remain."""
    remaining: set[int] = set()
    for line in lines:
        session = int(line)
        if session > 0:
            remaining.add(session)
        else:
            remaining.discard(-session)
    for session in remaining:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.stdin)
