"""Runs: their folders with flags, locks, facts and networks, and networks from users' files."""
