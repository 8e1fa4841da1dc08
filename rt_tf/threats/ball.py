"""Functions that the norm balls share: ends, support function, distance and inside test."""

import math
from collections.abc import Callable

import tensorflow as tf

from rt_tf.network.ops import Tensor, box_minimum, inner
from rt_tf.threats.region import Region

Norm = Callable[[Tensor], Tensor]  # [batch, ...] -> [batch]

# float64 rounds a norm of n values, and the radius, by less than (n + 4) times this, relatively.
DOUBLE_ROUNDING = 2.0**-51


def ends(region: Region) -> tuple[Tensor, Tensor]:
    """The elementwise ends, each [batch, ...]: any one pixel may use up the whole radius."""
    lower = tf.maximum(region.x - region.radius(), region.lower)
    upper = tf.minimum(region.x + region.radius(), region.upper)
    return lower, upper


def box(region: Region) -> tuple[Tensor, Tensor]:
    """The ends for a bound, each [batch, ...]: they enclose x wherever it is, and never cross.

    An x outside of the domain is refused where its values are known; in compiled functions they
    are not. A radius that is negative or NaN has no box: its ends are NaN.
    """
    lower, upper = ends(region)
    is_radius, undefined = region.radius() >= 0.0, tf.constant(math.nan, region.x.dtype)
    lower = tf.where(is_radius, tf.minimum(lower, region.x), undefined)
    return lower, tf.where(is_radius, tf.maximum(upper, region.x), undefined)


def minimum(region: Region, coefficients: Tensor) -> Tensor:
    """A lower bound of <coefficients, x> over the region: [batch, spec].

    The larger of the ball's minimum, `v . x - eps |v|_dual`, and its box's. coefficients: v,
    [batch, spec, ...].
    """
    dtype = coefficients.dtype
    lower, upper = (tf.cast(end, dtype) for end in region.box())
    reach = tf.cast(region.radius(2), dtype) * region.dual_norm(coefficients)
    in_ball = inner(coefficients, tf.cast(region.x, dtype)) - reach
    return tf.maximum(in_ball, box_minimum(coefficients, lower, upper))


def distance(region: Region, x: Tensor, norm: Norm) -> Tensor:
    """The norm of the move from region.x to x [batch, ...], in float64: [batch]."""
    return norm(tf.cast(x, tf.float64) - tf.cast(region.x, tf.float64))


def inside(region: Region, x: Tensor, norm: Norm) -> Tensor:
    """Whether x [batch, ...] is in the domain and, despite rounding, in the ball: [batch] bool."""
    return possible(region, x) & (distance(region, x, norm) <= strict_radius(region))


def strict_radius(region: Region) -> Tensor:
    """eps less the most that float64 may round, so that a nearer point is in the ball.

    In float64 and in eps's own shape: a scalar, [batch], [batch, ...] or [1, ...].
    """
    return region.exact_eps() * (1.0 - (math.prod(region.x.shape[1:]) + 4) * DOUBLE_ROUNDING)


def possible(region: Region, x: Tensor) -> Tensor:
    """Whether x [batch, ...] is in the domain, to its last digit: [batch] bool."""
    x, (lower, upper) = tf.cast(x, tf.float64), (region.domain.lower, region.domain.upper)
    return tf.reduce_all((x >= lower) & (x <= upper), axis=list(range(1, x.shape.rank)))
