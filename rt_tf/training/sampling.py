"""A sample of a batch, which is the same on however many replicas."""

from typing import NamedTuple

import tensorflow as tf

from rt_tf import replicas
from rt_tf.network.ops import Tensor


class Sample(NamedTuple):
    """This replica's part of a sample.

    rows: [rows], of this replica's examples. weights: [rows], in the replica's mean; None for one
    each.
    """

    rows: Tensor
    weights: Tensor | None


def sample(count: int, held: Tensor) -> Sample:
    """This replica's part of a sample: `count` evenly spaced examples of the whole batch.

    held: the number of examples on this replica. A batch is in random order, so evenly spaced
    examples are a random sample. Weighted means of the replicas, by their shares of the batch, add
    up to the mean of the sample; a replica that holds none of it has its first example at weight 0.
    """
    if replicas.count() == 1:
        return Sample(tf.range(count) * held // count, None)
    whole, first = replicas.whole(held), replicas.first(held)
    places = tf.range(count) * whole // count - first
    rows = tf.boolean_mask(places, (places >= 0) & (places < held))
    idle = tf.cast(tf.equal(tf.size(rows), 0), tf.int32)
    counted = tf.concat([tf.ones_like(rows), tf.zeros([idle], tf.int32)], axis=0)
    rows = tf.concat([rows, tf.zeros([idle], tf.int32)], axis=0)
    scale = tf.size(rows) * whole / (count * held)
    return Sample(rows, tf.cast(counted, tf.float32) * tf.cast(scale, tf.float32))
