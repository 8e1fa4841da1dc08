"""Replicas of a training step: their number, this one's place, and sums over all."""

from collections.abc import Sequence

import tensorflow as tf


def count() -> int:
    """The number of replicas that share a batch; 1 without a distribution strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def number() -> tf.Tensor:
    """This replica's number, from 0 on: the places of its examples in the batch follow from it."""
    context = tf.distribute.get_replica_context()
    return tf.constant(0) if context is None else tf.identity(context.replica_id_in_sync_group)


def whole(rows: tf.Tensor) -> tf.Tensor:
    """The number of examples of the whole batch. rows: the number of this replica's."""
    return rows if count() == 1 else tf.cast(tf.reduce_sum(_rows(rows)), tf.int32)


def first(rows: tf.Tensor) -> tf.Tensor:
    """The place in the whole batch of this replica's first example. rows: the number of its own."""
    if count() == 1:
        return tf.constant(0)
    return tf.cast(tf.reduce_sum(_rows(rows)[: number()]), tf.int32)


def share(rows: tf.Tensor) -> tf.Tensor:
    """This replica's share of the whole batch's examples, whose numbers may differ by replica.

    rows: the number of its own.
    """
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
    """The mean over axes (default: all) of all replicas' values; axis 0 is the examples'."""
    axes = list(range(values.shape.rank)) if axis is None else list(axis)
    shape = tf.shape(values)
    terms = tf.cast(tf.reduce_prod(tf.gather(shape, axes)), values.dtype)
    total, terms = totals([tf.reduce_sum(values, axes), tf.stop_gradient(terms)])
    return total / terms


def _rows(rows: tf.Tensor) -> tf.Tensor:
    """The examples of each replica: float32 [replicas]."""
    (by_replica,) = totals([tf.one_hot(number(), count()) * tf.cast(rows, tf.float32)])
    return by_replica
