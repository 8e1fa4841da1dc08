"""Attacks: points of a region on which a network errs. `run` judges their success."""
