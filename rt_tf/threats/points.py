"""Points of a norm ball within the pixel range: the nearest to a given one, a random one."""

import math
from collections.abc import Callable

import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats.ball import Norm
from rt_tf.threats.norms import by_example
from rt_tf.threats.region import ROUNDING, Region

HALVINGS = 24  # as many as float32 has digits
EDGE = 1.0 - 2.0**-24  # the largest float32 number below 1


def nearest(
    region: Region, x: Tensor, norm: Norm, shrink: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The point of the region nearest to x: x within the pixel range, if that is in the ball.

    Else the move `min(shrink(|x - x0|, u), room)` from x0 towards x, with the least u that fits:
    the form that the conditions of optimality give. shrink(sizes, u), with u [batch, 1, ...], falls
    from the sizes at u = 0 into the ball at u = 1.
    """
    rank, move = x.shape.rank, x - region.x
    room = tf.where(move > 0.0, region.upper - region.x, region.x - region.lower)

    def size(u: Tensor) -> Tensor:
        return tf.minimum(shrink(tf.abs(move), by_example(u, rank)), room)

    u = least(lambda u: norm(size(u)) <= region.radius(1), tf.zeros(tf.shape(x)[:1], x.dtype))
    within = tf.clip_by_value(x, region.lower, region.upper)
    fits = _distance(within - region.x, norm) <= tf.cast(region.radius(1), tf.float64)
    shrunk = region.x + _into_ball(region, tf.sign(move) * size(u), norm)
    shrunk = tf.clip_by_value(shrunk, region.lower, region.upper)
    return tf.where(by_example(fits, rank), within, shrunk)


def even(region: Region, noise: Tensor, norm: Norm, quantile: Callable[[Tensor], Tensor]) -> Tensor:
    """A point drawn evenly from the ball, which the pixel range may not contain.

    quantile: turns numbers uniform in (-1, 1) into ones whose joint density depends on their norm
    alone, so that directions are even. The distance is drawn by the fraction of the noise's sum,
    which is uniform too, and exact in float64: the same in any batch.
    """
    pixels = math.prod(noise.shape[1:])
    direction = quantile(tf.clip_by_value(2.0 * noise - 1.0, -EDGE, EDGE))
    sums = tf.reduce_sum(tf.cast(noise, tf.float64), axis=list(range(1, noise.shape.rank)))
    share = tf.cast(tf.math.floormod(sums, 1.0) ** (1.0 / pixels), noise.dtype)
    scale = region.radius(1) * tf.math.divide_no_nan(share, norm(direction))
    return region.x + by_example(scale, noise.shape.rank) * direction


def least(fits: Callable[[Tensor], Tensor], zero: Tensor) -> Tensor:
    """The least u in [0, 1] that fits, from above, by example, where all larger ones fit too."""

    def halve(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        middle = 0.5 * (low + high)
        fit = fits(middle)
        return tf.where(fit, low, middle), tf.where(fit, middle, high)

    ends = (zero, zero + 1.0)
    return tf.while_loop(lambda *_: True, halve, ends, maximum_iterations=HALVINGS)[1]


def _into_ball(region: Region, move: Tensor, norm: Norm) -> Tensor:
    """The move, shortened where float32 summed its size too low."""
    radius = (1.0 - ROUNDING) * tf.cast(region.radius(1), tf.float64)
    factor = tf.minimum(tf.math.divide_no_nan(radius, _distance(move, norm)), 1.0)
    return move * by_example(tf.cast(factor, move.dtype), move.shape.rank)


def _distance(move: Tensor, norm: Norm) -> Tensor:
    return norm(tf.cast(move, tf.float64))
