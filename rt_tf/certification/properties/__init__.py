"""Properties of VNN-LIB: whether any input of a box meets one, by bounds, splits and attacks."""
