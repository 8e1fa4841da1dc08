"""Robust training for Keras and TensorFlow: train, certify, report, export."""

__version__ = "0.1.0"
