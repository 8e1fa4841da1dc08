"""The norms of images and of coefficients, over all axes but the leading ones.

One leading axis: [batch, ...] -> [batch]; two of them: [batch, spec, ...] -> [batch, spec].
"""

import tensorflow as tf

from rt_tf.network.ops import Tensor


def largest(values: Tensor, leading: int = 1) -> Tensor:
    """The Linf norms of values."""
    return tf.reduce_max(tf.abs(values), axis=_axes(values, leading))


def euclidean(values: Tensor, leading: int = 1) -> Tensor:
    """The L2 norms of values, whose gradient at zero is zero, and not NaN."""
    squares = tf.reduce_sum(tf.square(values), axis=_axes(values, leading))
    zero = squares == 0.0
    return tf.where(zero, squares, tf.sqrt(tf.where(zero, tf.ones_like(squares), squares)))


def total(values: Tensor, leading: int = 1) -> Tensor:
    """The L1 norms of values."""
    return tf.reduce_sum(tf.abs(values), axis=_axes(values, leading))


def by_example(values: Tensor, rank: int) -> Tensor:
    """Values [batch], or a scalar, in a shape that broadcasts against [batch, ...] of a rank."""
    return tf.reshape(values, [-1] + [1] * (rank - 1)) if values.shape.rank else values


def _axes(values: Tensor, leading: int) -> list[int]:
    return list(range(leading, values.shape.rank))
