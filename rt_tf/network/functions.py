"""The activation functions that are curves: derivative, kinks and touching points of each.

`ulps` and `absolute` (see `ops.Activation`) are four times the largest error measured, or more: in
TensorFlow 2.21 on x86-64, against float64, over all magnitudes and both signs, at 10^7 points eager
in whole packets and under XLA, 10^5 in rows of three, which packets leave over, and 10^5 in dense
and convolution layers, which graphs fuse with oneDNN. In units of 2^-24: sigmoid 8.4, tanh 6.2,
softplus 8.0; ELU 5.7, but 1.2 absolute where it is computed as exp(z) - 1. Fused sigmoids are zero
below -86.7, where the value is 2^-125.
"""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.network.curves import UNIT, Curve
from rt_tf.network.ops import Tensor

TINY = 2.0**-126
FLUSHED = 2.0**-120  # below it the exponentials of some kernels are zero
NEVER = float("inf")


def bent(
    fn: Callable[[Tensor], Tensor], first: float, last: float, negative_slope: float = 0.0
) -> Curve:
    """A curve of three pieces, of slopes negative_slope, 1 and 0, with kinks at first and last."""

    def derivative(z: Tensor) -> Tensor:
        return tf.where(z < first, negative_slope, tf.cast(z < last, z.dtype))

    return Curve(
        fn=fn,
        derivative=derivative,
        critical=lambda slope: [first, last],
        below=lambda upper: first,
        above=lambda lower: last,
        ulps=0.0 if negative_slope == 0.0 else 2.0,  # of one product, which rounds once
    )


def elu(alpha: float) -> Curve:
    """The ELU: z where z > 0, else alpha (exp(z) - 1); convex for alpha in (0, 1]."""

    def derivative(z: Tensor) -> Tensor:
        return tf.where(z > 0.0, tf.ones_like(z), alpha * tf.exp(tf.minimum(z, 0.0)))

    return Curve(
        fn=functools.partial(keras.activations.elu, alpha=alpha),
        derivative=derivative,
        critical=lambda s: [0.0, tf.minimum(tf.math.log(_positive(s) / alpha), 0.0)],
        below=lambda upper: upper,
        above=lambda lower: NEVER,
        ulps=24.0,
        absolute=8.0 * alpha * UNIT,
    )


def _sigmoid_stationary(slope: Tensor) -> list[Tensor]:
    """The points z = -+log((1 + r)^2 / (4 s)), r = sqrt(1 - 4 s), with derivative p (1 - p) = s."""
    quarters = tf.clip_by_value(4.0 * slope, TINY, 1.0)
    z = tf.math.log((1.0 + tf.sqrt(1.0 - quarters)) ** 2 / quarters)
    return [-z, z]


def _sigmoid_below(upper: Tensor) -> Tensor:
    """The point where a line from (u, f(u)) touches the sigmoid from below; u itself where u <= 0.

    A guess that is right for small and for large u and .15 off at most, and one Newton step on
    f'(z) (u - z) = f(u) - f(z), which leaves .005. The lines are sound wherever the point is,
    and their slopes are stationary in it, so that it needs no gradient.
    """
    # Below 0.1 the guess is good, and the step would be rounding.
    far = tf.maximum(tf.stop_gradient(upper), 0.1)
    guess = -tf.minimum(0.5 * far, tf.math.log1p(far))
    value = tf.sigmoid(guess)
    first = value * (1.0 - value)
    second = first * (1.0 - 2.0 * value)
    excess = first * (far - guess) - (tf.sigmoid(far) - value)
    step = guess - excess / (second * (far - guess))
    return tf.where(upper > 0.1, step, tf.minimum(upper, -0.5 * upper))


def _sigmoid_derivative(z: Tensor) -> Tensor:
    p = tf.sigmoid(z)
    return p * (1.0 - p)


SIGMOID = Curve(
    fn=tf.nn.sigmoid,
    derivative=_sigmoid_derivative,
    critical=_sigmoid_stationary,
    below=_sigmoid_below,
    above=lambda lower: -_sigmoid_below(-lower),
    ulps=36.0,
    absolute=FLUSHED,
)

TANH = Curve(  # 2 sigmoid(2 z) - 1
    fn=tf.nn.tanh,
    derivative=lambda z: 1.0 - tf.tanh(z) ** 2,
    critical=lambda s: [0.5 * z for z in _sigmoid_stationary(0.25 * s)],
    below=lambda upper: 0.5 * _sigmoid_below(2.0 * upper),
    above=lambda lower: -0.5 * _sigmoid_below(-2.0 * lower),
    ulps=28.0,
)

SOFTPLUS = Curve(
    fn=tf.nn.softplus,
    derivative=tf.nn.sigmoid,
    critical=lambda s: [tf.math.log(_positive(s)) - tf.math.log1p(-tf.minimum(s, 1.0))],
    below=lambda upper: upper,
    above=lambda lower: NEVER,
    ulps=36.0,
    absolute=FLUSHED,
)


def _positive(slope: Tensor) -> Tensor:
    return tf.maximum(slope, TINY)
