"""Data sets by name, held in memory; batches whose order is a function of (seed, epoch)."""

from rt_tf.data.batches import Changes, batches, order, steps
from rt_tf.data.dataset import DataSet, Split, load, made_up
from rt_tf.data.extra import Extra, read_extra

__all__ = [
    "Changes",
    "DataSet",
    "Extra",
    "Split",
    "batches",
    "load",
    "made_up",
    "order",
    "read_extra",
    "steps",
]
