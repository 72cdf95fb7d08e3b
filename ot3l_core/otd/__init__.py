"""Optimal transport distances between labelled datasets, in the order of the method.

1. ``scale_features`` brings the datasets to one scale.
2. ``label_distances`` measures how far every source class is from every target class.
3. ``ground_cost`` joins both into the cost of moving one labelled sample onto another.
4. ``dataset_distance`` solves that transport problem, with a certificate and a score for every target sample.
5. ``class_scores`` ranks the target classes; ``rank_stability`` says how far to trust the ranking.
6. ``measure`` does 1 to 3 and 5, and 4 where a score needs it: what selection reads.
7. ``class_map`` draws the classes of both in one plane.
8. ``dataset_matrix`` does 2 to 4 for every pair of many datasets, and says which are nearest to each other.

Source:
    alvarez2020geometric.
"""

from ot3l_core.otd.class_map import ClassMap, class_map
from ot3l_core.otd.dataset_distance import DatasetDistance, dataset_distance
from ot3l_core.otd.ground_cost import ground_cost
from ot3l_core.otd.label_distances import label_distances
from ot3l_core.otd.matrix import DatasetMatrix, Merge, Nearest, dataset_matrix
from ot3l_core.otd.measured import Measured, measure
from ot3l_core.otd.scaling import scale_features
from ot3l_core.otd.scores import RankStability, class_scores, rank_stability

__all__ = [
    "ClassMap",
    "DatasetDistance",
    "DatasetMatrix",
    "Measured",
    "Merge",
    "Nearest",
    "RankStability",
    "class_map",
    "class_scores",
    "dataset_distance",
    "dataset_matrix",
    "ground_cost",
    "label_distances",
    "measure",
    "rank_stability",
    "scale_features",
]
