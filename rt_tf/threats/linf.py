"""The Linf threat: every pixel moves by at most eps, within the pixel range."""

import tensorflow as tf

from rt_tf.network.ops import Tensor, box_minimum
from rt_tf.threats import ball, norms
from rt_tf.threats.region import Region


class Linf:
    """The contract is in `rt_tf.threats.region.Threat`."""

    name = "linf"
    largest = 1.0
    is_box = True
    has_support = True

    def spread(self, pixels: int) -> float:
        return 1.0

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        return ball.box(region)

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        return norms.total(coefficients, kept=2)

    def minimum(self, region: Region, coefficients: Tensor) -> Tensor:
        return box_minimum(coefficients, *(tf.cast(t, coefficients.dtype) for t in region.box()))

    def project(self, region: Region, x: Tensor) -> Tensor:
        return tf.clip_by_value(x, *region.box())

    def start(self, region: Region, noise: Tensor) -> Tensor:
        return self.project(region, region.x + region.radius() * (2.0 * noise - 1.0))

    def step(
        self, region: Region, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        return size * tf.sign(gradient)

    def distance(self, region: Region, x: Tensor) -> Tensor:
        return ball.distance(region, x, norms.largest)

    def inside(self, region: Region, x: Tensor) -> Tensor:
        return ball.inside(region, x, norms.largest)
