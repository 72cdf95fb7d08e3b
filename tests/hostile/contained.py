"""``python -m tests.hostile.contained BODIES SCRATCH``: read hostile files, and say how each ended.

``BODIES`` is a file of JSON, requests by name. The process may take a few gigabytes of addresses and a few minutes, so
that whatever takes more ends in an error of another kind. It writes one line of JSON for each file.
"""

import json
import resource
import sys
import tempfile
import warnings
from pathlib import Path

from ot3l_core.errors import CoreError
from tests.hostile.law import read_all

ADDRESSES = 8 * 2**30
SECONDS = 300


def peak_megabytes():
    """The most memory that the process has had; what the one that started it had does not count."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def main():
    """Read them all."""
    bodies, scratch = map(Path, sys.argv[1:])
    tempfile.tempdir = str(scratch)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    warnings.simplefilter("ignore")
    for name, body in json.loads(bodies.read_text()).items():
        try:
            read_all(body)
            code, message = None, ""
        except CoreError as error:
            code, message = error.code, str(error)
        except Exception as error:  # noqa: BLE001 - what it is says the report
            code, message = f"{type(error).__module__}.{type(error).__name__}", str(error)
        line = {"name": name, "code": code, "message": message, "megabytes": peak_megabytes()}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
