"""The L2 threat: the Euclidean norm of all pixels' moves is at most eps, within the pixel range."""

import math

import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats import ball, norms, points
from rt_tf.threats.region import Region


class L2:
    """The contract is in `rt_tf.threats.region.Threat`."""

    name = "l2"
    largest = 1e3  # all of a million pixels may move by one
    is_box = False

    def spread(self, pixels: int) -> float:
        return math.sqrt(pixels)

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        return ball.box(region)

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        return norms.euclidean(coefficients, kept=2)

    def minimum(self, region: Region, coefficients: Tensor) -> Tensor:
        return ball.minimum(region, coefficients)

    def project(self, region: Region, x: Tensor) -> Tensor:
        """x0 + clip((x - x0) / (1 + lambda)); 1 / (1 + lambda) falls from 1 to eps / |x - x0|."""
        fits = tf.math.divide_no_nan(region.radius(1), norms.euclidean(x - region.x))
        share = norms.by_example(tf.minimum(fits, 1.0), x.shape.rank)
        return points.nearest(region, x, norms.euclidean, lambda size, u: size * share**u)

    def start(self, region: Region, noise: Tensor) -> Tensor:
        """By normally distributed numbers: erfinv gives them, but for their scale."""
        return self.project(region, points.even(region, noise, norms.euclidean, tf.math.erfinv))

    def step(self, region: Region, x: Tensor, gradient: Tensor, size: Tensor) -> Tensor:
        """size * gradient / |gradient|; squares of small gradients would underflow."""
        gradient = _divided(gradient, norms.largest(gradient))
        return size * _divided(gradient, norms.euclidean(gradient))

    def inside(self, region: Region, x: Tensor) -> Tensor:
        return ball.inside(region, x, norms.euclidean)


def _divided(values: Tensor, by: Tensor) -> Tensor:
    return tf.math.divide_no_nan(values, norms.by_example(by, values.shape.rank))
