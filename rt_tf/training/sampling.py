"""Some examples of a batch, the same ones on however many replicas."""

from typing import NamedTuple

import tensorflow as tf

from rt_tf import replicas
from rt_tf.network.ops import Tensor


class Sample(NamedTuple):
    """rows: of this replica's examples. weights: theirs in its mean; None for one each."""

    rows: Tensor
    weights: Tensor | None


def sample(count: int, held: Tensor) -> Sample:
    """Evenly spaced examples of the whole batch: those of them that this replica holds.

    A batch is a random sample already, so evenly spaced ones of its examples are one too. Weighted
    means of the replicas, by their shares of the batch, add up to the mean of the sample; a replica
    that holds none of it has its first example at weight 0. held: examples of this replica.
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
