"""Properties of VNN-LIB: whether any input of a box meets them, by splits and by attacks."""
