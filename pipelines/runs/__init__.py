"""Runs: their folders, what is kept there, and what is read from it."""
