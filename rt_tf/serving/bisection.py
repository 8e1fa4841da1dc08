"""The largest radius with a certificate, by bisection inside one computation."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.network.ops import Tensor

STEPS = 10

Certify = Callable[[Tensor, Tensor], Tensor]


class BisectionResult(NamedTuple):
    """The largest certified radii of a batch.

    radius: the largest that was certified, 0 where none was; by: the number of the method that
    certified it, else 0. Both are [batch].
    """

    radius: Tensor
    by: Tensor


def largest(certify: Certify, cap: Tensor, steps: int = STEPS) -> BisectionResult:
    """The largest radius that is certified, by bisection from each example's cap.

    The cap is tried first, then `steps` times the middle of what is open between two radii.
    certify: (radii [batch], open [batch]) -> [batch] int32, the number of the method that certifies
    an open example's radius; 0 for none, and where an example is not open. cap: [batch]. Each
    radius returned was certified, whatever `certify` says elsewhere; if `certify` is monotone, it
    is within cap / 2**steps of the largest.
    """

    def turn(step: Tensor, low: Tensor, high: Tensor, by: Tensor) -> tuple[Tensor, ...]:
        tried = tf.where(step == 0, high, 0.5 * (low + high))
        method = certify(tried, (step == 0) | (low < high))
        certified = method > 0
        low, high = tf.where(certified, tried, low), tf.where(certified, high, tried)
        return step + 1, low, high, tf.where(certified, method, by)

    nothing = tf.zeros_like(cap, tf.int32)
    begin = (tf.constant(0), tf.zeros_like(cap), cap, nothing)
    _, low, _, by = tf.while_loop(lambda step, *_: step <= steps, turn, begin)
    return BisectionResult(low, by)
