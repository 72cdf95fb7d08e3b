"""A whole job, against one bare forward pass and against the usual recipe."""
