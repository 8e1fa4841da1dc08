"""The statistics of a batch that a batch normalisation uses in training, and keeps averages of."""

import keras
import tensorflow as tf

from rt_tf import replicas
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.steps import Statistics


def batch_statistics(layer: keras.layers.BatchNormalization, values: Tensor) -> Statistics:
    """Mean and variance, each [channels], over the whole batch, on however many replicas.

    values: [batch, ...], with the channels on the layer's axis. The layer's moving averages move
    towards them, as in Keras. UserError for a layer with renorm.
    """
    if layer.renorm:
        raise UserError(
            f"layer '{layer.name}': expected renorm=False in training: bounds know batch "
            "normalisation alone; received renorm=True"
        )
    statistics = _moments(tf.cast(values, tf.float32), layer.axis % values.shape.rank)
    for moving, now in (
        (layer.moving_mean, statistics.mean),
        (layer.moving_variance, statistics.variance),
    ):
        before = tf.convert_to_tensor(moving)
        moving.assign(before * layer.momentum + tf.cast(now, before.dtype) * (1.0 - layer.momentum))
    return statistics


def _moments(values: Tensor, channels: int) -> Statistics:
    """Mean and variance over all other axes than the channels'.

    The variance is about the mean of all replicas. No gradient passes through that mean, like in
    `tf.nn.moments`: over the whole batch it is zero.
    """
    axes = [axis for axis in range(values.shape.rank) if axis != channels]
    mean = replicas.mean(values, axes)
    along = [1 if axis in axes else -1 for axis in range(values.shape.rank)]
    squares = tf.math.squared_difference(values, tf.reshape(tf.stop_gradient(mean), along))
    return Statistics(mean, replicas.mean(squares, axes))
