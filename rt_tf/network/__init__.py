"""Keras models as graphs of affine, positive and activation operations, which bounds read."""
