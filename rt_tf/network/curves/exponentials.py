"""Functions that are exponential on one side, and straight on the other or everywhere convex.

Errors measured: softplus and log-sigmoid 8.0; exp 2.0, but zero below -87.3, where the value is
2^-126; ELU 5.7, CELU 5.4, SELU 6.0, but 2.4 absolute where it is computed as exp(z) - 1.
"""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.network.curves.curve import (
    NEVER,
    UNIT,
    Curve,
    Domain,
    Points,
    itself,
    never,
    never_before,
    positive,
)
from rt_tf.network.curves.s_shaped import FLUSHED
from rt_tf.network.ops import Tensor

HIGHEST = 80.0  # exp(80) = 5.5e34 leaves room for products


def _softplus_stationary(slope: Tensor) -> Tensor:
    return tf.math.log(positive(slope)) - tf.math.log1p(-tf.minimum(slope, 1.0))


SOFTPLUS = Curve(
    fn=tf.nn.softplus,
    derivative=tf.nn.sigmoid,
    critical=lambda s: [_softplus_stationary(s)],
    below=itself,
    above=never,
    ulps=36.0,
    absolute=FLUSHED,
)

LOG_SIGMOID = Curve(  # -softplus(-z)
    fn=keras.activations.log_sigmoid,
    derivative=lambda z: tf.sigmoid(-z),
    critical=lambda s: [-_softplus_stationary(s)],
    below=never_before,
    above=itself,
    ulps=36.0,
    absolute=FLUSHED,
)

EXP = Curve(
    fn=tf.exp,
    derivative=tf.exp,
    critical=lambda s: [tf.math.log(positive(s))],
    below=itself,
    above=never,
    domain=Domain(
        f"inputs of at most {HIGHEST:.0f}",
        lambda lower, upper: (upper <= HIGHEST) & (lower > -NEVER),
        inside=0.0,
    ),
    ulps=8.0,
    absolute=FLUSHED,
)


def _saturating(z: Tensor) -> Tensor:
    return tf.exp(tf.minimum(z, HIGHEST))


SATURATING_EXP = Curve(  # exp(min(z, 80))
    fn=_saturating,
    derivative=lambda z: tf.where(z < HIGHEST, _saturating(z), 0.0),
    critical=lambda s: [tf.math.log(positive(s)), HIGHEST],
    below=lambda upper: tf.minimum(upper, HIGHEST - _rise(upper - HIGHEST + 1.0)),
    above=lambda lower: HIGHEST,
    domain=Domain("finite inputs", lambda lower, upper: (lower > -NEVER) & (upper < NEVER), 0.0),
    ulps=8.0,
    absolute=FLUSHED,
)


def elu(alpha: float) -> Curve:
    """The ELU: z where z > 0, else alpha (exp(z) - 1), for alpha > 0."""
    fn = functools.partial(keras.activations.elu, alpha=alpha)
    return exponential_linear(fn, alpha)


def celu(alpha: float) -> Curve:
    """The CELU: z where z > 0, else alpha (exp(z / alpha) - 1), for alpha > 0."""
    return exponential_linear(functools.partial(keras.activations.celu, alpha=alpha), alpha, alpha)


def exponential_linear(
    fn: Callable[[Tensor], Tensor], scale: float, width: float = 1.0, slope: float = 1.0
) -> Curve:
    """The curve `slope z` where z > 0, else `scale (exp(z / width) - 1)`.

    It is convex if it is no steeper below 0 than above, and else bends down at 0.
    """
    steepest = scale / width
    convex = steepest <= slope

    def derivative(z: Tensor) -> Tensor:
        return tf.where(z > 0.0, slope, steepest * tf.exp(tf.minimum(z, 0.0) / width))

    def critical(s: Tensor) -> list[Points]:
        return [0.0, width * tf.minimum(tf.math.log(positive(s) / steepest), 0.0)]

    def below(upper: Tensor) -> Tensor:
        """The z with exp(z / width) ((u - z) / width + 1) = 1 + slope u / scale, if u > 0."""
        far = tf.maximum(upper, 0.0)
        power = tf.math.log1p(slope / scale * far)
        touch = width * (power - _rise(far / width + 1.0 - power))
        return tf.minimum(upper, touch)

    def above(lower: Tensor) -> Tensor:
        """The kink, for lines that are steeper than what follows."""
        return tf.where(fn(lower) <= slope * lower, tf.zeros_like(lower), NEVER)

    return Curve(
        fn=fn,
        derivative=derivative,
        critical=critical,
        below=itself if convex else below,
        above=never if convex else above,
        ulps=24.0,
        absolute=8.0 * scale * UNIT,
    )


SELU = exponential_linear(
    keras.activations.selu, scale=1.7580993408473766, slope=1.0507009873554805
)


def _rise(height: Tensor) -> Tensor:
    """The d >= 0 with exp(d) - d = height, for heights from 1 on: within .01, without gradient.

    A guess that is right for small and for large ones, and two steps of Newton's method.
    """
    excess = tf.stop_gradient(tf.maximum(height - 1.0, 0.0))
    d = tf.math.log1p(excess + tf.sqrt(2.0 * excess))
    for _ in range(2):
        slope = tf.math.expm1(d)
        d -= tf.where(slope > 0.01, (slope - d - excess) / tf.maximum(slope, 0.01), 0.0)
    return d
