"""Replicas of a training step: their number, this one's place, and sums over all."""

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

Strategy: TypeAlias = "tf.distribute.Strategy"


def count() -> int:
    """The number of replicas that share a batch; 1 without a distribution strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def number() -> tf.Tensor:
    """This replica's number, a scalar from 0 on, which gives its examples' places in the batch."""
    context = tf.distribute.get_replica_context()
    return tf.constant(0) if context is None else tf.identity(context.replica_id_in_sync_group)


def here(strategy: Strategy) -> int:
    """The number of a strategy's replicas that are in this process."""
    several = strategy.num_replicas_in_sync > 1
    return len(strategy.extended.worker_devices) if several else 1


def is_first_here() -> tf.Tensor:
    """Whether this replica is the first one of its process: a scalar."""
    return number() % here(tf.distribute.get_strategy()) == 0


def joined(values: tf.Tensor) -> tf.Tensor:
    """The values of all replicas, [batch, ...] each, in their order: [whole batch, ...]."""
    if count() == 1:
        return values
    return tf.distribute.get_replica_context().all_gather(values, axis=0)


def whole(rows: tf.Tensor) -> tf.Tensor:
    """The number of the whole batch's examples. rows: that of this replica's. Both are scalars."""
    return rows if count() == 1 else tf.cast(tf.reduce_sum(_rows(rows)), tf.int32)


def first(rows: tf.Tensor) -> tf.Tensor:
    """The place in the whole batch of this replica's first example: a scalar.

    rows: the number of this replica's examples, a scalar.
    """
    if count() == 1:
        return tf.constant(0)
    return tf.cast(tf.reduce_sum(_rows(rows)[: number()]), tf.int32)


def share(rows: tf.Tensor) -> tf.Tensor:
    """This replica's share of the whole batch's examples, whose numbers may differ by replica.

    A scalar in float32. rows: the number of this replica's examples, a scalar.
    """
    if count() == 1:
        return tf.constant(1.0)
    return tf.cast(rows, tf.float32) / tf.reduce_sum(_rows(rows))


def totals(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The sums of tensors, each of any shape, over all replicas, elementwise.

    Gradients of the sums reach every replica's part. With one replica, and outside of a replicated
    step, they are the tensors themselves.
    """
    context = tf.distribute.get_replica_context()
    if context is None or count() == 1:
        return list(values)
    return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(values)))


def mean(values: tf.Tensor, axis: Sequence[int] | None = None) -> tf.Tensor:
    """The mean over axes of all replicas' values [batch, ...], in the shape of the other axes.

    axis: the axes, with 0, that of examples; all by default, for a scalar.
    """
    axes = list(range(values.shape.rank)) if axis is None else list(axis)
    shape = tf.shape(values)
    terms = tf.cast(tf.reduce_prod(tf.gather(shape, axes)), values.dtype)
    total, terms = totals([tf.reduce_sum(values, axes), tf.stop_gradient(terms)])
    return total / terms


def _rows(rows: tf.Tensor) -> tf.Tensor:
    """The examples of each replica: float32 [replicas]."""
    (by_replica,) = totals([tf.one_hot(number(), count()) * tf.cast(rows, tf.float32)])
    return by_replica
