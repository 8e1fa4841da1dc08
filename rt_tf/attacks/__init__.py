"""Attacks: points of a region on which a network errs. Their success is judged by others."""
