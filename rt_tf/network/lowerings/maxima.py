"""Maxima of values that stand one after another along the first axis, by differences and ReLUs."""

import tensorflow as tf

from rt_tf.network.lowerings.weights import product
from rt_tf.network.ops import Positive, Tensor
from rt_tf.network.relaxations import RELU
from rt_tf.network.steps import Hull, Step


def maxima(steps: list[Step], width: int) -> list[Step]:
    """The steps, then max(a, b) = a + relu(b - a) in a tree over the first axis, down to one.

    width: the length of that axis, which is the first after the batch's.
    """
    while width > 1:
        steps = [*steps, *_halve(before=len(steps))]
        width = (width + 1) // 2
    return steps


def _halve(before: int) -> list[Step]:
    """The steps of maxima of the first half and the second; an odd last value is kept."""
    minus = product(difference, tf.constant([1.0, -1.0]), None, (2, 1))
    hull = Hull(Positive(_larger), (before,))
    return [
        Step(minus, (before,)),
        Step(RELU, (before + 1,)),
        Step(Positive(_raised, 2), (before, before + 2), hull),
    ]


def difference(x: Tensor, signs: Tensor) -> Tensor:
    """The second half of values [batch, width, ...], less the first, for the signs [1, -1]."""
    first, second, *_ = _halves(x)
    return signs[0] * second + signs[1] * first


def _halves(x: Tensor) -> list[Tensor]:
    """The first half of values, the second, and an odd last one: their gradients are joined."""
    pairs, odd = divmod(x.shape[1], 2)
    return tf.split(x, [pairs, pairs] + [1] * odd, axis=1)


def _raised(x: Tensor, excess: Tensor) -> Tensor:
    """The first half by the excess of the second, and an odd last value."""
    first, _, *last = _halves(x)
    return tf.concat([first + excess, *last], axis=1) if last else first + excess


def _larger(x: Tensor) -> Tensor:
    """The larger values of both halves, and an odd last value."""
    first, second, *last = _halves(x)
    larger = tf.maximum(first, second)
    return tf.concat([larger, *last], axis=1) if last else larger
