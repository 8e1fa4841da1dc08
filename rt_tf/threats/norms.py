"""The norms of images and of coefficients, over all axes but the first few."""

import tensorflow as tf

from rt_tf.network.ops import Tensor


def largest(values: Tensor, kept: int = 1) -> Tensor:
    """The Linf norm."""
    return tf.reduce_max(tf.abs(values), axis=_axes(values, kept))


def euclidean(values: Tensor, kept: int = 1) -> Tensor:
    """The L2 norm; its gradient at zero is zero, where a plain square root's is not a number."""
    squares = tf.reduce_sum(tf.square(values), axis=_axes(values, kept))
    zero = squares == 0.0
    return tf.where(zero, squares, tf.sqrt(tf.where(zero, tf.ones_like(squares), squares)))


def total(values: Tensor, kept: int = 1) -> Tensor:
    """The L1 norm."""
    return tf.reduce_sum(tf.abs(values), axis=_axes(values, kept))


def by_example(values: Tensor, rank: int) -> Tensor:
    """Values [batch], or a scalar, shaped to broadcast against [batch, ...] of a rank."""
    return tf.reshape(values, [-1] + [1] * (rank - 1)) if values.shape.rank else values


def _axes(values: Tensor, kept: int) -> list[int]:
    return list(range(kept, values.shape.rank))
