"""Certificates as files: a network, and for each example what its proof was made of."""
