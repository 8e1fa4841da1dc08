"""The box threat: every pixel between two ends of its own."""

import tensorflow as tf

from rt_tf.domain import Domain
from rt_tf.network.ops import Tensor
from rt_tf.threats import norms
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import ROUNDING, Region


class BoxThreat(Linf):
    """A threat by the contract of `rt_tf.threats.region.Threat`; the region's domain is the box.

    The box lies in the Linf ball of the region's eps, which therefore cuts nothing off.
    """

    name = "box"

    def by_feature(self, region: Region) -> Region:
        return region

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        return region.lower, region.upper

    def project(self, region: Region, x: Tensor) -> Tensor:
        return tf.clip_by_value(x, region.lower, region.upper)

    def start(self, region: Region, noise: Tensor) -> Tensor:
        return self.project(region, region.lower + noise * (region.upper - region.lower))

    def step(
        self, region: Region, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        """A step of every pixel by one share of its own range."""
        share = tf.math.divide_no_nan(0.5 * (region.upper - region.lower), region.radius())
        return size * share * tf.sign(gradient)

    def inside(self, region: Region, x: Tensor) -> Tensor:
        within = (x >= region.lower) & (x <= region.upper)
        return tf.reduce_all(within, axis=list(range(1, x.shape.rank)))


def between(lower: Tensor, upper: Tensor) -> Region:
    """The region of all inputs between two ends, each [batch, ...] in float32 and not widened."""
    eps = norms.largest(0.5 * upper - 0.5 * lower) * (1.0 + 4.0 * ROUNDING)
    return Region(BoxThreat(), 0.5 * lower + 0.5 * upper, eps, Domain(lower, upper))
