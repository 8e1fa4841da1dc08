"""The random numbers of a training step, which are equal each time that the step is taken."""

import functools
from collections.abc import Callable

import tensorflow as tf

from rt_tf import replicas
from rt_tf.attacks import noise
from rt_tf.network.ops import Tensor
from rt_tf.training import moves
from rt_tf.training.objectives.batch import Draws


def seed_of_step(seed: int, phase: int, step: Tensor) -> Tensor:
    """The seed of a step of a phase: int64 [2]. step: the optimizer's, a scalar."""
    return tf.random.fold_in(tf.constant([seed, phase], tf.int64), tf.cast(step, tf.int64))


def of_batch(
    seed: Callable[[], Tensor], last: tf.Variable, x: Tensor, labels: Tensor, training: bool
) -> Draws:
    """The draws of a step, keyed on the examples' places in the whole batch.

    So they do not depend on the number of replicas. A test starts without moves, and keeps none.

    seed: of the step, [2]. last: the moves of the step before, see `moves.empty`. x: images,
    [batch, ...]. labels: [batch].
    """
    first = replicas.first(tf.shape(labels)[0])

    def keys() -> Tensor:
        return noise.keys(seed(), first + tf.range(tf.shape(labels)[0]))

    if not training:
        return Draws(keys, seed, lambda: tf.zeros_like(x), lambda _: None)
    return Draws(
        keys, seed, lambda: moves.read(last, x, first), functools.partial(moves.keep, last)
    )
