"""The paper's tables and its figure 2, over whichever of its data sets are at hand."""
