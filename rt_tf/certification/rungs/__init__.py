"""The rungs of a ladder: attacks, bounds, branch and bound, mathematical programs."""
