"""The moves of the last step's attack, at which the attack of the next step may begin."""

import tensorflow as tf

from rt_tf import replicas
from rt_tf.network.ops import Tensor


def empty(shape: tuple[int, ...]) -> tf.Variable:
    """A variable for the moves of all examples of a batch, on every replica: [0, *shape]."""
    return tf.Variable(
        tf.zeros([0, *shape]),
        shape=[None, *shape],
        trainable=False,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def read(variable: tf.Variable, x: Tensor, first: Tensor) -> Tensor:
    """This replica's rows of the last step's moves; zeros where there are none: [batch, ...].

    x: [batch, ...]. first: the number of this replica's first example in the whole batch.
    """
    moves = tf.convert_to_tensor(variable)[first:][: tf.shape(x)[0]]
    zeros = tf.zeros_like(x)[tf.shape(moves)[0] :]
    return tf.ensure_shape(tf.concat([moves, zeros], axis=0), x.shape)


def keep(variable: tf.Variable, moves: Tensor) -> None:
    """Keeps the moves of a step, [batch, ...], those of all replicas on each of them."""
    variable.assign(replicas.joined(moves))
