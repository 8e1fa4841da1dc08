"""Threat models: what an adversary may do to an input."""
