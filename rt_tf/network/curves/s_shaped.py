"""Functions that are convex below 0 and concave above.

Errors measured: sigmoid 8.4, tanh 6.2, erf 6.7, softsign 2.0, z - tanh(z) 4 and 1.9 absolute. Fused
sigmoids are zero below -86.7, where the value is 2^-125.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from rt_tf.network.curves.curve import TINY, UNIT, ConcaveStart, Curve, itself, never
from rt_tf.network.curves.tables import Numbers, Table, root
from rt_tf.network.ops import Tensor

FLUSHED = 2.0**-120  # below it the exponentials of some kernels are zero


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


def _tanh_below(upper: Tensor) -> Tensor:
    return 0.5 * _sigmoid_below(2.0 * upper)


TANH = Curve(  # 2 sigmoid(2 z) - 1
    fn=tf.nn.tanh,
    derivative=lambda z: 1.0 - tf.tanh(z) ** 2,
    critical=lambda s: [0.5 * z for z in _sigmoid_stationary(0.25 * s)],
    below=_tanh_below,
    above=lambda lower: -_tanh_below(-lower),
    ulps=28.0,
)


def _softsign_below(upper: Tensor) -> Tensor:
    """The point -u / (1 + sqrt(2 + 2 u)), whose tangent meets the curve in u > 0."""
    far = tf.nn.relu(upper)
    return tf.where(upper > 0.0, -far / (1.0 + tf.sqrt(2.0 + 2.0 * far)), upper)


def _softsign_stationary(slope: Tensor) -> list[Tensor]:
    z = tf.math.rsqrt(tf.clip_by_value(slope, TINY, 1.0)) - 1.0
    return [-z, z]


SOFTSIGN = Curve(  # z / (1 + |z|)
    fn=tf.nn.softsign,
    derivative=lambda z: tf.square(tf.math.reciprocal(1.0 + tf.abs(z))),
    critical=_softsign_stationary,
    below=_softsign_below,
    above=lambda lower: -_softsign_below(-lower),
    ulps=8.0,
)

STEEPEST = 2.0 / math.sqrt(math.pi)  # the slope of erf in 0


def _erf_stationary(slope: Tensor) -> list[Tensor]:
    z = tf.sqrt(-tf.math.log(tf.clip_by_value(slope / STEEPEST, TINY, 1.0)))
    return [-z, z]


def _erf_touch(reach: Numbers) -> Numbers:
    """The distances below 0 where lines from u = exp(reach) - 1, [count], touch erf."""
    upper = np.expm1(np.maximum(reach, 1e-3))
    return root(
        lambda z: STEEPEST * np.exp(-z * z) * (upper + z) - special.erf(upper) - special.erf(z),
        0.0,
        10.0,
    )


_ERF_TOUCH = Table(_erf_touch, last=70.0)  # up to e^70


def _erf_below(upper: Tensor) -> Tensor:
    return tf.where(upper > 0.0, -_ERF_TOUCH(tf.math.log1p(tf.nn.relu(upper))), upper)


ERF = Curve(
    fn=tf.math.erf,
    derivative=lambda z: STEEPEST * tf.exp(-z * z),
    critical=_erf_stationary,
    below=_erf_below,
    above=lambda lower: -_erf_below(-lower),
    ulps=27.0,
)


def _tanh_shrink_stationary(slope: Tensor) -> list[Tensor]:
    z = tf.atanh(tf.sqrt(tf.clip_by_value(slope, 0.0, 1.0 - 2.0**-24)))
    return [-z, z]


TANH_SHRINK = Curve(  # z - tanh(z): concave below 0, convex above
    fn=keras.activations.tanh_shrink,
    derivative=lambda z: tf.square(tf.tanh(z)),
    critical=_tanh_shrink_stationary,
    below=itself,
    above=never,
    start=ConcaveStart(below=lambda lower: -_tanh_below(-lower), above=_tanh_below),
    ulps=16.0,
    absolute=8.0 * UNIT,
)
