"""Python in the documentation compiles, and where a page is meant to be followed it runs."""

import os
import subprocess
import sys

import pytest

from tests.docs.pages import BLOCKS, ROOT

PYTHON = [block for block in BLOCKS if block.language == "python"]
RUN = ["docs/guides/data.md", "docs/guides/library.md"]
"""Pages whose blocks run, one after the other in one process, in an empty folder and without a network."""


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"{block.page}:{block.line}")
def test_python_compiles(block):
    compile(block.text, f"{block.page}:{block.line}", "exec")


@pytest.mark.parametrize("page", RUN)
def test_python_runs(page, tmp_path):
    code = "\n".join(block.text for block in PYTHON if block.page == page)
    assert code
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "no_proxy": "*"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
