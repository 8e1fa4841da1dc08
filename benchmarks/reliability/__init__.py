"""Runs that are killed, damaged, without room, in odd places: see `__main__`."""
