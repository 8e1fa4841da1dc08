"""Attacks that use the answers of a network and no gradients."""
