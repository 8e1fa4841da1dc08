"""Random numbers that are a pure function of a seed and of the example they are for.

TensorFlow's stateless generators have one seed for a whole tensor; here every example has its own,
so that its numbers do not depend on the batch it comes in. The generator is SplitMix64 (Steele, Lea
& Flood 2014), whose n-th number is a function of the seed and n.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from rt_tf.network.ops import Tensor

STRIDE = 0x9E3779B97F4A7C15
DIGITS = 24  # of float32


def keys(seed: Tensor, numbers: Tensor) -> Tensor:
    """A key for each example: [batch] of uint64. seed: integers [k]; numbers: integers [batch]."""
    key = tf.zeros_like(numbers, tf.uint64)
    for part in [*tf.unstack(seed), numbers]:
        key = _mixed(key + tf.cast(part, tf.uint64) * _constant(STRIDE) + _constant(1))
    return key


def fold(keys: Tensor, number: Tensor | int) -> Tensor:
    """Further keys [batch] from keys [batch] and a number, such as a restart's or a draw's."""
    return _mixed(keys + (tf.cast(number, tf.uint64) + _constant(1)) * _constant(STRIDE))


def take(keys: Tensor, rows: Tensor) -> Tensor:
    """The keys of some rows [rows], gathered as signed numbers, which GPUs can do."""
    return tf.bitcast(tf.gather(tf.bitcast(keys, tf.int64), rows), tf.uint64)


def uniform(keys: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """Numbers in [0, 1): [batch, *shape], each example's from its key alone."""
    places = tf.range(1, math.prod(shape) + 1, dtype=tf.int64)
    steps = tf.cast(places, tf.uint64) * _constant(STRIDE)
    bits = tf.bitwise.right_shift(_mixed(keys[:, None] + steps), _constant(64 - DIGITS))
    numbers = tf.cast(tf.cast(bits, tf.int32), tf.float32) * 2.0**-DIGITS
    return tf.reshape(numbers, [-1, *shape])


def _mixed(bits: Tensor) -> Tensor:
    """The bits after SplitMix64's finaliser: every bit depends on every bit before."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = _folded(bits, shift) * _constant(factor)
    return _folded(bits, 31)


def _folded(bits: Tensor, shift: int) -> Tensor:
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, _constant(shift)))


def _constant(value: int) -> Tensor:
    return tf.constant(value, tf.uint64)
