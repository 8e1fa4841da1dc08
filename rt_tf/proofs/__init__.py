"""Certificates as files: a network, and for each example the content of its proof."""
