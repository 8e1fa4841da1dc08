"""Data sets by name, held in memory; batches whose order is a function of (seed, epoch)."""

from rt_tf.data.batches import AugmentationOptions, batches, order, steps
from rt_tf.data.dataset import DataSet, Split, load, synthetic
from rt_tf.data.extra import Extra, read_extra

__all__ = [
    "AugmentationOptions",
    "DataSet",
    "Extra",
    "Split",
    "batches",
    "load",
    "order",
    "read_extra",
    "steps",
    "synthetic",
]
