"""The L2 threat: the Euclidean norm of all pixels' moves is at most eps, within the pixel range."""

import functools
import math

import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats import ball, norms, points
from rt_tf.threats.region import Region


class L2:
    """The L2 threat by the contract of `rt_tf.threats.region.Threat`."""

    name = "l2"
    largest = 1e3  # all of a million pixels may move by one
    is_box = False
    has_support = True

    def spread(self, pixels: int) -> float:
        return math.sqrt(pixels)

    def by_feature(self, region: Region) -> Region:
        return region

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        return ball.box(region)

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        return norms.euclidean(coefficients, leading=2)

    def minimum(self, region: Region, coefficients: Tensor) -> Tensor:
        return ball.minimum(region, coefficients)

    def project(self, region: Region, x: Tensor) -> Tensor:
        """The nearest point, x0 + clip((x - x0) / (1 + lambda)): the condition of optimality."""
        return points.nearest(region, x, norms.euclidean, functools.partial(_scaled, region))

    def start(self, region: Region, noise: Tensor) -> Tensor:
        """A point drawn evenly, by way of normal numbers, which erfinv gives but for a scale."""
        return self.project(region, points.even(region, noise, norms.euclidean, tf.math.erfinv))

    def step(
        self, region: Region, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        """A step size * gradient / |gradient|; squares of small gradients would underflow."""
        gradient = _divided(gradient, norms.largest(gradient))
        return size * _divided(gradient, norms.euclidean(gradient))

    def distance(self, region: Region, x: Tensor) -> Tensor:
        return ball.distance(region, x, norms.euclidean)

    def inside(self, region: Region, x: Tensor) -> Tensor:
        return ball.inside(region, x, norms.euclidean)


def _scaled(region: Region, sizes: Tensor, room: Tensor) -> Tensor:
    """The sizes min(t sizes, room) for the t at which their norm is eps: [batch, ...].

    The norm's square is piecewise linear in u = t^2, for sizes of norm one.
    """
    rank, whole = sizes.shape.rank, norms.euclidean(sizes)
    unit, ends = _divided(sizes, whole) ** 2, _divided(room, whole) ** 2
    share = tf.math.divide_no_nan(region.radius(1), whole) ** 2
    scale = tf.math.divide_no_nan(tf.ones_like(share), share)

    def line(u: Tensor) -> tuple[Tensor, Tensor]:
        grown = unit * norms.by_example(u, rank)
        moving = tf.where(grown < ends, unit, 0.0)
        return scale * norms.total(tf.minimum(grown, ends)) - 1.0, scale * norms.total(moving)

    u = points.crossing(line, tf.ones_like(whole))
    return tf.minimum(sizes * norms.by_example(tf.sqrt(u), rank), room)


def _divided(values: Tensor, by: Tensor) -> Tensor:
    return tf.math.divide_no_nan(values, norms.by_example(by, values.shape.rank))
