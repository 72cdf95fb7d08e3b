"""The figures are those that the code draws."""

import re

from docs.figures.__main__ import FIGURES, draw_all
from tests.docs.pages import PAGES, ROOT


def test_every_figure_is_drawn_kept_and_shown(tmp_path):
    drawn = draw_all(tmp_path)
    shown = {name for page in PAGES for name in re.findall(r"images/([\w-]+)\.svg\)", page.read_text())}
    assert {path.stem for path in drawn} == set(FIGURES) == shown
    for path in drawn:
        kept = (ROOT / "docs/images" / path.name).read_text()
        # Numbers may differ in their last digits from one machine to another; words do not.
        assert words_of(kept) == words_of(path.read_text())


def words_of(figure):
    return [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", figure) if not re.search(r"\d", text)]
