"""The statistics of a batch that a batch normalisation uses in training, and keeps averages of."""

import keras
import tensorflow as tf

from rt_tf import replicas
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.steps import Statistics


def batch_statistics(layer: keras.layers.BatchNormalization, values: Tensor) -> Statistics:
    """Mean and variance, each [channels], over the whole batch, on however many replicas.

    values: [batch, ..., channels]. The layer's moving averages move towards them, as in Keras.
    UserError for a layer with renorm.
    """
    if layer.renorm:
        raise UserError(
            f"layer '{layer.name}': expected renorm=False in training: bounds know batch "
            "normalisation alone; received renorm=True"
        )
    statistics = _moments(tf.cast(values, tf.float32))
    for moving, now in (
        (layer.moving_mean, statistics.mean),
        (layer.moving_variance, statistics.variance),
    ):
        before = tf.convert_to_tensor(moving)
        moving.assign(before * layer.momentum + tf.cast(now, before.dtype) * (1.0 - layer.momentum))
    return statistics


def _moments(values: Tensor) -> Statistics:
    """Mean and variance over the batch; the variance is about the mean of all replicas.

    No gradient passes through that mean, like in `tf.nn.moments`: over the whole batch it is
    zero.
    """
    axes = list(range(values.shape.rank - 1))
    mean = replicas.mean(values, axes)
    squares = tf.math.squared_difference(values, tf.stop_gradient(mean))
    return Statistics(mean, replicas.mean(squares, axes))
