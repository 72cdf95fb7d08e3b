"""Draw every figure: ``python -m docs.figures [FOLDER]``."""

import sys
from collections.abc import Iterable
from pathlib import Path

from docs.figures.distances import draw_certificate, draw_class_map, draw_class_pairs, draw_plan
from docs.figures.selections import draw_budgets, draw_picks
from docs.figures.style import styled

FIGURES = {
    "transport-plan": draw_plan,
    "certificate": draw_certificate,
    "class-pairs": draw_class_pairs,
    "class-map": draw_class_map,
    "picks": draw_picks,
    "budgets": draw_budgets,
}
"""Each by the name of its file."""


def draw(folder: Path, names: Iterable[str] = FIGURES) -> list[Path]:
    """Draw figures into a folder."""
    paths = []
    for name in names:
        with styled():
            figure = FIGURES[name]()
            paths.append(folder / f"{name}.svg")
            figure.savefig(paths[-1], metadata={"Date": None, "Creator": None}, transparent=True)
    return paths


if __name__ == "__main__":
    for path in draw(Path(*sys.argv[1:] or ("docs/images",))):
        print(path)
