"""Attacks that seek the smallest move that changes the answer."""
