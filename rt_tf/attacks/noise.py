"""Random numbers that are a pure function of a seed and of the example they are for."""

import tensorflow as tf

from rt_tf.network.ops import Tensor


def by_position(seed: Tensor, x: Tensor, rank: int, replicas: int) -> Tensor:
    """Uniform noise in [0, 1), shaped as x, for the rows of one replica of a batch.

    Every replica draws the whole batch and keeps its rows, so that their number does not matter.
    """
    rows = tf.shape(x)[0]
    whole = tf.random.stateless_uniform(tf.stack([replicas * rows, *x.shape[1:]]), seed)
    return tf.reshape(whole[rank * rows : (rank + 1) * rows], tf.shape(x))


def by_example(seed: Tensor, index: Tensor, shape: list[int]) -> Tensor:
    """Uniform noise in [0, 1) for examples by index: [batch, *shape], whatever the batches."""

    def draw(i: Tensor) -> Tensor:
        return tf.random.stateless_uniform(shape, tf.random.fold_in(seed, i))

    return tf.map_fn(draw, index, fn_output_signature=tf.float32)
