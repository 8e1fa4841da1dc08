"""The L1 threat: the sizes of all pixels' moves add up to at most eps, within the pixel range."""

import functools
import math

import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats import ball, norms, points
from rt_tf.threats.region import Region

# The range of the number of pixels that a step moves. Source: Wong 2020 (thesis), 5.4.1, k1 and k2.
LEAST, MOST = 5, 20


class L1:
    """The L1 threat by the contract of `rt_tf.threats.region.Threat`."""

    name = "l1"
    largest = 1e6  # all of a million pixels may move by one
    is_box = False
    has_support = True

    def spread(self, pixels: int) -> float:
        return float(pixels)

    def by_feature(self, region: Region) -> Region:
        return region

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        return ball.box(region)

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        return norms.largest(coefficients, leading=2)

    def minimum(self, region: Region, coefficients: Tensor) -> Tensor:
        return ball.minimum(region, coefficients)

    def project(self, region: Region, x: Tensor) -> Tensor:
        """The nearest point, x0 + clip(soft threshold of x - x0): the condition of optimality."""
        return points.nearest(region, x, norms.total, functools.partial(_thresholded, region))

    def start(self, region: Region, noise: Tensor) -> Tensor:
        """A point drawn evenly, by way of Laplace-distributed numbers."""
        return self.project(region, points.even(region, noise, norms.total, _laplace))

    def step(
        self, region: Region, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        """A step on the 5 to 20 pixels of the largest |gradient| that can still move that way.

        Their number is drawn by example. Source: Wong 2020 (thesis), 5.3.4.
        """
        free = tf.where(gradient > 0.0, x < region.upper, x > region.lower)
        slope = tf.where(free, tf.abs(gradient), 0.0)
        return size * tf.sign(gradient) * _steepest(slope, chance)

    def distance(self, region: Region, x: Tensor) -> Tensor:
        return ball.distance(region, x, norms.total)

    def inside(self, region: Region, x: Tensor) -> Tensor:
        return ball.inside(region, x, norms.total)


def _thresholded(region: Region, sizes: Tensor, room: Tensor) -> Tensor:
    """The sizes min(relu(sizes - u), room) for the u at which their sum is eps: [batch, ...]."""
    rank = sizes.shape.rank
    scale = tf.math.divide_no_nan(tf.ones_like(radius := region.radius(1)), radius)

    def line(u: Tensor) -> tuple[Tensor, Tensor]:
        rest = tf.nn.relu(sizes - norms.by_example(u, rank))
        moving = tf.cast((rest > 0.0) & (rest < room), sizes.dtype)
        return 1.0 - scale * norms.total(tf.minimum(rest, room)), scale * norms.total(moving)

    u = points.crossing(line, norms.largest(sizes))
    return tf.minimum(tf.nn.relu(sizes - norms.by_example(u, rank)), room)


def _laplace(uniform: Tensor) -> Tensor:
    """Laplace-distributed numbers from uniform ones in (-1, 1)."""
    return -tf.sign(uniform) * tf.math.log1p(-tf.abs(uniform))


def _steepest(slope: Tensor, chance: Tensor) -> Tensor:
    """Shares of a step, evenly on each example's steepest pixels: [batch, ...]."""
    pixels = math.prod(slope.shape[1:])
    most = min(MOST, pixels)
    least = min(LEAST, most)
    values, places = tf.math.top_k(tf.reshape(slope, [-1, pixels]), most)
    count = least + tf.cast(chance * float(most - least + 1), tf.int32)  # [batch]
    chosen = (tf.range(most) < count[:, None]) & (values > 0.0)  # [batch, most]
    chosen = tf.cast(chosen, slope.dtype)
    shares = tf.math.divide_no_nan(chosen, tf.reduce_sum(chosen, axis=1, keepdims=True))
    examples = tf.range(tf.shape(shares)[0])[:, None] + tf.zeros_like(places)
    spread = tf.scatter_nd(
        tf.stack([examples, places], axis=-1), shares, [tf.shape(shares)[0], pixels]
    )
    return tf.reshape(spread, tf.shape(slope))
