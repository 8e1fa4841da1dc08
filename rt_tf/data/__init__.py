"""Data sets by name, held in memory; batches whose order is a function of (seed, epoch)."""

from rt_tf.data.batches import batches, order
from rt_tf.data.dataset import DataSet, Split, load

__all__ = ["DataSet", "Split", "batches", "load", "order"]
