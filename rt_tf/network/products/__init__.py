"""Layers that multiply values computed from the input, and those that are made of such products."""
