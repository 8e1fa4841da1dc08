"""Powers of constant exponents, and logarithms.

Errors measured: reciprocal 2.6, but 2^-126 absolute where the value is below 2^-114; rsqrt 3.2, log
3.8, powers 2.1. Squares and square roots are rounded once.
"""

from collections.abc import Callable

import tensorflow as tf

from rt_tf.network.curves.curve import (
    NEVER,
    TINY,
    ConcaveStart,
    Curve,
    Domain,
    itself,
    never,
    never_before,
    positive,
)
from rt_tf.network.curves.s_shaped import FLUSHED
from rt_tf.network.curves.tables import root
from rt_tf.network.ops import Tensor

ROUNDED = 2.0  # ulps of one operation that is rounded to nearest
POWER_ULPS = 9.0
SMALLEST = 2.0**-40  # nearer to 0, slopes of reciprocals and logarithms overflow
LARGEST = 2.0**56  # beyond it, slopes of squares do


def power(exponent: float) -> Curve:
    """The curve z^p; for whole p > 1 of all numbers, and else where z > 0.

    ValueError for the exponents 0 and 1, whose powers do not bend.
    """
    if exponent in (0.0, 1.0):
        raise ValueError(f"expected an exponent other than 0 and 1; received {exponent}")
    if exponent > 1.0 and float(exponent).is_integer():
        return _even_power(exponent) if exponent % 2.0 == 0.0 else _odd_power(exponent)
    return _power_above_zero(exponent)


def at_least(least: float) -> Domain:
    """The domain of intervals from `least` on."""
    words = f"inputs above 0, at least {least:.2g}"
    return Domain(words, lambda lower, upper: (lower >= least) & (upper < NEVER))


def _within(size: float) -> Domain:
    """The domain of intervals of numbers of a size or less."""
    return Domain(
        f"inputs of size {size:.2g} or less",
        lambda lower, upper: (lower >= -size) & (upper <= size),
    )


def _apart_from_zero(lower: Tensor, upper: Tensor) -> Tensor:
    above, below = lower >= SMALLEST, upper <= -SMALLEST
    return (above & (upper < NEVER)) | (below & (lower > -NEVER))


def _cube(z: Tensor) -> Tensor:
    return z * z * z


def _inverse(z: Tensor) -> Tensor:
    """The points 1 / z of the sizes that float32 has."""
    return tf.math.reciprocal(positive(z))


SQUARE = Curve(
    fn=tf.square,
    derivative=lambda z: 2.0 * z,
    critical=lambda s: [0.5 * s],
    below=itself,
    above=never,
    turns=(0.0,),
    domain=_within(LARGEST),
    ulps=ROUNDED,
)

# Convex where z > 0, and concave where z < 0.
RECIPROCAL = Curve(
    fn=tf.math.reciprocal,
    derivative=lambda z: -tf.square(tf.math.reciprocal(z)),
    critical=lambda s: [sign * tf.math.rsqrt(positive(-s)) for sign in (1.0, -1.0)],
    below=lambda upper: tf.where(upper > 0.0, upper, -NEVER),
    above=lambda lower: tf.where(lower > 0.0, NEVER, lower),
    turns=(),
    domain=Domain(f"inputs other than 0, of size {SMALLEST:.2g} or more", _apart_from_zero),
    ulps=12.0,
    absolute=FLUSHED,
)

RSQRT = Curve(
    fn=tf.math.rsqrt,
    derivative=lambda z: -0.5 * _cube(tf.math.rsqrt(z)),
    critical=lambda s: [_inverse(tf.pow(positive(-2.0 * s), 2.0 / 3.0))],
    below=itself,
    above=never,
    turns=(),
    domain=at_least(SMALLEST),
    ulps=16.0,
)

SQRT = Curve(
    fn=tf.sqrt,
    derivative=lambda z: 0.5 * tf.math.rsqrt(z),
    critical=lambda s: [tf.square(0.5 / tf.maximum(s, 2.0**-60))],
    below=never_before,
    above=itself,
    domain=at_least(SMALLEST),
    ulps=ROUNDED,
)

LOG = Curve(
    fn=tf.math.log,
    derivative=tf.math.reciprocal,
    critical=lambda s: [_inverse(s)],
    below=never_before,
    above=itself,
    domain=at_least(SMALLEST),
    ulps=16.0,
)


def _power_above_zero(p: float) -> Curve:
    """The curve z^p where z > 0: concave for p from 0 to 1, and else convex."""
    concave = 0.0 < p < 1.0
    least = SMALLEST ** min(1.0, 2.0 / abs(p - 2.0)) if p < 2.0 else TINY
    most = LARGEST ** min(1.0, 2.0 / p) if p > 0.0 else NEVER
    return Curve(
        fn=_raised(p),
        derivative=_slope(p),
        critical=lambda s: [_where_steep(s / p, p)],
        below=never_before if concave else itself,
        above=itself if concave else never,
        turns=() if p < 0.0 else None,
        domain=Domain(
            f"inputs from {least:.2g} to {most:.2g}",
            lambda lower, upper: (lower >= least) & (upper <= most) & (upper < NEVER),
        ),
        ulps=POWER_ULPS,
    )


def _even_power(p: float) -> Curve:
    """The curve z^p, convex."""

    def critical(s: Tensor) -> list[Tensor]:
        return [tf.sign(s) * _where_steep(tf.abs(s) / p, p)]

    return Curve(
        fn=_raised(p),
        derivative=_slope(p),
        critical=critical,
        below=itself,
        above=never,
        turns=(0.0,),
        domain=_within(LARGEST ** (2.0 / p)),
        ulps=POWER_ULPS,
    )


def _odd_power(p: float) -> Curve:
    """The curve z^p, concave where z < 0 and convex where z > 0."""
    # A line from l < 0 touches it in -c l, with p c^(p - 1) (c + 1) = c^p + 1.
    share = float(root(lambda c: p * c ** (p - 1.0) * (c + 1.0) - c**p - 1.0, 0.0, 1.0))

    def critical(s: Tensor) -> list[Tensor]:
        z = _where_steep(s / p, p)
        return [-z, z]

    return Curve(
        fn=_raised(p),
        derivative=_slope(p),
        critical=critical,
        below=itself,
        above=never,
        start=ConcaveStart(
            below=lambda lower: tf.maximum(lower, -share * lower),
            above=lambda upper: tf.minimum(upper, -share * upper),
        ),
        domain=_within(LARGEST ** (2.0 / p)),
        ulps=POWER_ULPS,
    )


def _raised(p: float) -> Callable[[Tensor], Tensor]:
    return lambda z: tf.pow(z, tf.cast(p, z.dtype))


def _slope(p: float) -> Callable[[Tensor], Tensor]:
    return lambda z: p * tf.pow(z, tf.cast(p - 1.0, z.dtype))


def _where_steep(value: Tensor, p: float) -> Tensor:
    """The points z > 0 where z^(p - 1) is a value."""
    return tf.exp(tf.math.log(positive(value)) / (p - 1.0))
