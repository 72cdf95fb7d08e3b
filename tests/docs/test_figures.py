"""The figures are those that the code draws."""

import re

import pytest

from docs.figures.__main__ import FIGURES, draw
from tests.docs.pages import PAGES, ROOT

KEPT = ROOT / "docs/images"


def test_every_figure_is_kept_and_shown():
    shown = {name for page in PAGES for name in re.findall(r"images/([\w-]+)\.svg\)", page.read_text())}
    assert set(FIGURES) == shown <= {path.stem for path in KEPT.glob("*.svg")}


@pytest.mark.parametrize("name", ["budgets", "class-map"])
def test_a_figure_is_what_the_code_draws(name, tmp_path):
    (drawn,) = draw(tmp_path, [name])
    found, kept = (numbers_and_words(path.read_text()) for path in (drawn, KEPT / drawn.name))
    assert found[1] == kept[1]
    # Other machines may round in another direction.
    assert found[0] == pytest.approx(kept[0], abs=0.01)


def numbers_and_words(figure):
    """Where things are drawn, and everything else."""
    numbers = r"(?<![\w#-])-?\d+\.\d+(?![\w%])"
    return [float(number) for number in re.findall(numbers, figure)], re.sub(numbers, "", figure)
