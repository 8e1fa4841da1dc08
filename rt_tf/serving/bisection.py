"""The largest radius with a certificate, by bisection inside one computation."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.network.ops import Tensor

STEPS = 10

Certify = Callable[[Tensor, Tensor], Tensor]


class BisectionResult(NamedTuple):
    """radius: the largest that was certified, 0 where none was; by: what did it, else 0. [batch]"""

    radius: Tensor
    by: Tensor


def largest(certify: Certify, cap: Tensor, steps: int = STEPS) -> BisectionResult:
    """Tries each example's cap, then `steps` times the middle of what is open between two radii.

    certify: (radii [batch], open [batch]) -> what certifies an open example's radius, [batch]
    int32; 0 for nothing, and where it is not open. cap: [batch]. What is returned was certified
    whatever `certify` says elsewhere; if that is monotone, within cap / 2**steps of the largest.
    """

    def turn(step: Tensor, low: Tensor, high: Tensor, by: Tensor) -> tuple[Tensor, ...]:
        tried = tf.where(step == 0, high, 0.5 * (low + high))
        new = certify(tried, (step == 0) | (low < high))
        found = new > 0
        low, high = tf.where(found, tried, low), tf.where(found, high, tried)
        return step + 1, low, high, tf.where(found, new, by)

    nothing = tf.zeros_like(cap, tf.int32)
    begin = (tf.constant(0), tf.zeros_like(cap), cap, nothing)
    _, low, _, by = tf.while_loop(lambda step, *_: step <= steps, turn, begin)
    return BisectionResult(low, by)
