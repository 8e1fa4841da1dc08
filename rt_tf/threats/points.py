"""Points of a norm ball within the pixel range: the nearest to another point, and random ones."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats.ball import Norm
from rt_tf.threats.norms import by_example
from rt_tf.threats.region import ROUNDING, Region

MOST_STEPS = 60  # of Newton, or halvings where Newton's lead out
EDGE = 1.0 - 2.0**-24  # the largest float32 number below 1


def nearest(
    region: Region, x: Tensor, norm: Norm, shrunk: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The point of the region nearest to x, [batch, ...].

    It is x cut to the pixel range, if that is in the ball; else x0 and a move towards x of
    sizes `shrunk(sizes, room)`, room being each pixel's way up to the end of its range.
    """
    rank, move = x.shape.rank, x - region.x
    room = tf.where(move > 0.0, region.upper - region.x, region.x - region.lower)
    within = tf.clip_by_value(x, region.lower, region.upper)
    fits = _distance(within - region.x, norm) <= tf.cast(region.radius(1), tf.float64)
    move = tf.sign(move) * shrunk(tf.abs(move), room)
    point = tf.clip_by_value(region.x + _into_ball(region, move, norm), region.lower, region.upper)
    return tf.where(by_example(fits, rank), within, point)


def even(region: Region, noise: Tensor, norm: Norm, quantile: Callable[[Tensor], Tensor]) -> Tensor:
    """A point [batch, ...] drawn evenly from the ball, which may lie outside of the pixel range.

    noise: [batch, ...], uniform in [0, 1). quantile: turns numbers uniform in (-1, 1) into ones
    whose joint density depends on their norm alone, so that directions are even. The distance
    is drawn by the fraction of the noise's sum, which is uniform too, and exact in float64:
    equal in any batch.
    """
    pixels = math.prod(noise.shape[1:])
    direction = quantile(tf.clip_by_value(2.0 * noise - 1.0, -EDGE, EDGE))
    sums = tf.reduce_sum(tf.cast(noise, tf.float64), axis=list(range(1, noise.shape.rank)))
    share = tf.cast(tf.math.floormod(sums, 1.0) ** (1.0 / pixels), noise.dtype)
    scale = region.radius(1) * tf.math.divide_no_nan(share, norm(direction))
    return region.x + by_example(scale, noise.shape.rank) * direction


def crossing(line: Callable[[Tensor], tuple[Tensor, Tensor]], most: Tensor) -> Tensor:
    """The zero, by example, of a piecewise linear function that rises from 0 to `most`: [batch].

    line: u [batch] -> its value, in units in which rounding is relative, and its slope.
    Newton's steps from zero, which are exact on a last piece; halvings of the interval where
    they lead out.
    """

    def step(u: Tensor, low: Tensor, high: Tensor, _: Tensor) -> list[Tensor]:
        value, slope = line(u)
        low, high = tf.where(value < 0.0, u, low), tf.where(value < 0.0, high, u)
        middle = 0.5 * (low + high)
        done = (tf.abs(value) <= tolerance) | (middle <= low) | (middle >= high)
        newton = u - tf.math.divide_no_nan(value, slope)
        inside = (newton > low) & (newton < high)
        return [tf.where(done, u, tf.where(inside, newton, middle)), low, high, done]

    tolerance = 32.0 * float(np.finfo(most.dtype.as_numpy_dtype).eps)  # the rounding of a sum
    zero = tf.zeros_like(most)
    state = tf.while_loop(
        lambda u, low, high, done: ~tf.reduce_all(done),
        step,
        [zero, zero, most, most < 0.0],
        maximum_iterations=MOST_STEPS,
    )
    return state[0]


def _into_ball(region: Region, move: Tensor, norm: Norm) -> Tensor:
    """The move, shortened where float32 summed its size too low."""
    radius = (1.0 - ROUNDING) * tf.cast(region.radius(1), tf.float64)
    factor = tf.minimum(tf.math.divide_no_nan(radius, _distance(move, norm)), 1.0)
    return move * by_example(tf.cast(factor, move.dtype), move.shape.rank)


def _distance(move: Tensor, norm: Norm) -> Tensor:
    return norm(tf.cast(move, tf.float64))
