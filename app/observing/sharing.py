"""Processes that count together do so in the files of one folder."""

import os
import shutil
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client looks for the folder, once, when it is imported."""


def share_counts(folder: Path) -> None:
    """Let this process and those that it starts count together; to be called before anything imports ``metrics``.

    Args:
        folder: Theirs alone; what a former service left there is deleted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[FOLDER_VARIABLE] = str(folder)
