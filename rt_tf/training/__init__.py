"""Training: one objective with a point term and a bound term, in phases."""
