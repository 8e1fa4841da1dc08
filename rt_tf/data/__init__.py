"""Data sets by name, or of a user's own; batches whose order is a function of (seed, epoch)."""

from rt_tf.data.batches import AugmentationOptions, Replicas, batches, order, steps
from rt_tf.data.dataset import DataSet, load, synthetic
from rt_tf.data.extra import Extra, read_extra
from rt_tf.data.sources.source import Part, Reading, Source
from rt_tf.data.split import Split

__all__ = [
    "AugmentationOptions",
    "DataSet",
    "Extra",
    "Part",
    "Reading",
    "Replicas",
    "Source",
    "Split",
    "batches",
    "load",
    "order",
    "read_extra",
    "steps",
    "synthetic",
]
