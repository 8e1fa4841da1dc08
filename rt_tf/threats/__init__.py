"""Threat models: the moves that an adversary may make from an input."""
