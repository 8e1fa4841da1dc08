"""Layers bounded from random projections: estimates for training, and bounds that may fail."""
