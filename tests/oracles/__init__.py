"""Oracles for bounds, written from the mathematics and not from the library's code.

`matrices` reads a lowered graph as explicit matrices, by applying its linear maps to unit vectors;
all else here is NumPy, SciPy and rational numbers on those matrices or on a model's own weights.
"""
