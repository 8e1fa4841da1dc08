"""Attacks that climb a loss by its gradient."""
