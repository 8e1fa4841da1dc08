"""Branch and bound: a tree of splits, the bounds of its leaves, the search."""
