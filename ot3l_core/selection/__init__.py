"""Which samples of the target to train on."""

from ot3l_core.selection.pseudo_labels import default_n_classes, pseudo_labels
from ot3l_core.selection.settings import SelectionSettings
from ot3l_core.selection.strategies import Selection, select

__all__ = ["Selection", "SelectionSettings", "default_n_classes", "pseudo_labels", "select"]
