"""The Linf threat: every pixel moves by at most eps, within the pixel range."""

import tensorflow as tf

from rt_tf.network.ops import Tensor, inner
from rt_tf.threats.region import Region

STRICT = 2.0**-50  # relative; more than float64 rounds a radius or a distance by


class Linf:
    """The contract is in `rt_tf.threats.region.Threat`."""

    name = "linf"
    largest = 1.0

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        lower = tf.maximum(region.x - region.radius(), region.lower)
        upper = tf.minimum(region.x + region.radius(), region.upper)
        return lower, upper

    def minimum(self, region: Region, coefficients: Tensor) -> Tensor:
        """c0^T v - r0^T |v| with centre and half-width of the box; coefficients: [b, s, ...]."""
        lower, upper = (tf.cast(end, coefficients.dtype) for end in self.box(region))
        centre, half_width = 0.5 * (lower + upper), 0.5 * (upper - lower)
        return inner(coefficients, centre) - inner(tf.abs(coefficients), half_width)

    def project(self, region: Region, x: Tensor) -> Tensor:
        return tf.clip_by_value(x, *self.box(region))

    def start(self, region: Region, noise: Tensor) -> Tensor:
        return self.project(region, region.x + region.radius() * (2.0 * noise - 1.0))

    def step(self, region: Region, gradient: Tensor, size: Tensor) -> Tensor:
        return size * tf.sign(gradient)

    def inside(self, region: Region, x: Tensor) -> Tensor:
        x, centre = tf.cast(x, tf.float64), tf.cast(region.x, tf.float64)
        distance = tf.abs(x - centre)
        # A plain number is taken as it is: tf.cast would round it to float32 first.
        tensor = tf.is_tensor(region.eps)
        eps = tf.cast(region.eps, tf.float64) if tensor else tf.constant(region.eps, tf.float64)
        eps *= 1.0 - STRICT
        eps = tf.reshape(eps, [-1] + [1] * (x.shape.rank - 1)) if eps.shape.rank else eps
        allowed = (distance <= eps) & (x >= region.lower) & (x <= region.upper)
        return tf.reduce_all(allowed, axis=list(range(1, x.shape.rank)))
