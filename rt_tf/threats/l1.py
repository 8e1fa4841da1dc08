"""The L1 threat: the sizes of all pixels' moves add up to at most eps, within the pixel range."""

import math

import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats import ball, norms, points
from rt_tf.threats.region import Region


class L1:
    """The contract is in `rt_tf.threats.region.Threat`."""

    name = "l1"
    largest = 1e6  # all of a million pixels may move by one
    is_box = False

    def spread(self, pixels: int) -> float:
        return float(pixels)

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        return ball.box(region)

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        return norms.largest(coefficients, kept=2)

    def minimum(self, region: Region, coefficients: Tensor) -> Tensor:
        return ball.minimum(region, coefficients)

    def project(self, region: Region, x: Tensor) -> Tensor:
        """x0 + clip(soft threshold of x - x0); the threshold rises from 0 to its largest size."""
        largest = norms.by_example(norms.largest(x - region.x), x.shape.rank)
        return points.nearest(
            region, x, norms.total, lambda size, u: tf.nn.relu(size - u * largest)
        )

    def start(self, region: Region, noise: Tensor) -> Tensor:
        """By Laplace-distributed numbers, of which `_laplace` is the quantile function."""
        return self.project(region, points.even(region, noise, norms.total, _laplace))

    def step(self, region: Region, x: Tensor, gradient: Tensor, size: Tensor) -> Tensor:
        """The pixels of the largest |gradient| move to their ends, until the size is used up.

        Within the pixel range nothing of that size climbs more; one pixel's room is seldom enough.
        """
        room = tf.where(gradient > 0.0, region.upper - x, x - region.lower)
        return tf.sign(gradient) * _fill(tf.nn.relu(room), tf.abs(gradient), tf.reshape(size, [-1]))

    def inside(self, region: Region, x: Tensor) -> Tensor:
        return ball.inside(region, x, norms.total)


def _laplace(uniform: Tensor) -> Tensor:
    """From uniform in (-1, 1)."""
    return -tf.sign(uniform) * tf.math.log1p(-tf.abs(uniform))


def _fill(room: Tensor, slope: Tensor, budget: Tensor) -> Tensor:
    """Spends a budget ([batch] or [1]) on the room of the steepest pixels: [batch, ...]."""
    rank = room.shape.rank
    steepest = norms.by_example(norms.largest(slope), rank)

    def steeper(u: Tensor) -> Tensor:  # one or zero: tf.where takes eight times as long
        return tf.nn.relu(tf.sign(slope - norms.by_example(u, rank) * steepest))

    zeros = tf.zeros(tf.shape(room)[:1], room.dtype)
    spent = room * steeper(points.least(lambda u: norms.total(room * steeper(u)) <= budget, zeros))
    left = norms.by_example(budget - norms.total(spent), rank)
    last = tf.minimum(room - spent, left)
    return spent + last * _best(slope * last)


def _best(gain: Tensor) -> Tensor:
    """One at the largest of each example's values, else zero."""
    pixels = math.prod(gain.shape[1:])
    flat = tf.reshape(gain, [tf.shape(gain)[0], pixels])
    return tf.reshape(tf.one_hot(tf.argmax(flat, 1), pixels, dtype=gain.dtype), tf.shape(gain))
