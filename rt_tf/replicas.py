"""What replicas of a training step know of each other: how many, which one, and sums over all."""

from collections.abc import Sequence

import tensorflow as tf


def count() -> int:
    """How many replicas share a batch; 1 without a distribution strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def number() -> tf.Tensor:
    """Which replica this is, from 0 on: the places of its examples in the batch follow from it."""
    context = tf.distribute.get_replica_context()
    return tf.constant(0) if context is None else tf.identity(context.replica_id_in_sync_group)


def whole(rows: tf.Tensor) -> tf.Tensor:
    """How many examples the whole batch has. rows: how many this replica has."""
    return rows if count() == 1 else tf.cast(tf.reduce_sum(_rows(rows)), tf.int32)


def first(rows: tf.Tensor) -> tf.Tensor:
    """The place in the whole batch of this replica's first example. rows: how many it has."""
    if count() == 1:
        return tf.constant(0)
    return tf.cast(tf.reduce_sum(_rows(rows)[: number()]), tf.int32)


def share(rows: tf.Tensor) -> tf.Tensor:
    """This replica's part of the whole batch's examples, of which replicas may have unlike many."""
    if count() == 1:
        return tf.constant(1.0)
    return tf.cast(rows, tf.float32) / tf.reduce_sum(_rows(rows))


def totals(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Each tensor summed over all replicas; gradients of the sums reach every replica's part.

    With one replica, and outside of a replicated step, the tensors themselves.
    """
    context = tf.distribute.get_replica_context()
    if context is None or count() == 1:
        return list(values)
    return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(values)))


def mean(values: tf.Tensor, axis: Sequence[int] | None = None) -> tf.Tensor:
    """The mean over axes (default: all) of what all replicas hold; the first is the examples'."""
    axes = list(range(values.shape.rank)) if axis is None else list(axis)
    shape = tf.shape(values)
    terms = tf.cast(tf.reduce_prod(tf.gather(shape, axes)), values.dtype)
    total, terms = totals([tf.reduce_sum(values, axes), tf.stop_gradient(terms)])
    return total / terms


def _rows(rows: tf.Tensor) -> tf.Tensor:
    """The examples of each replica: float32 [replicas]."""
    (found,) = totals([tf.one_hot(number(), count()) * tf.cast(rows, tf.float32)])
    return found
