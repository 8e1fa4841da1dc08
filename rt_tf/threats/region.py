"""A region: all inputs an adversary can reach from one example."""

import dataclasses
from typing import Protocol

import tensorflow as tf

from rt_tf.network.ops import Tensor

# Four times the largest relative rounding error of float32: more than x + eps can suffer.
ROUNDING = 2.0**-22


class Threat(Protocol):
    """The contract of a threat model. Radii are in pixel units of [0, 1]."""

    name: str
    largest: float

    def box(self, region: "Region") -> tuple[Tensor, Tensor]:
        """Elementwise lower and upper ends of the region, each [batch, ...]."""

    def minimum(self, region: "Region", coefficients: Tensor) -> Tensor:
        """The support function: min of <coefficients, x> over the region, [batch, spec]."""

    def project(self, region: "Region", x: Tensor) -> Tensor:
        """The nearest point of the region."""

    def start(self, region: "Region", noise: Tensor) -> Tensor:
        """A random point of the region from noise uniform in [0, 1), shaped as x."""

    def step(self, region: "Region", gradient: Tensor, size: Tensor) -> Tensor:
        """The steepest-ascent step of a given size (in radius units) along a gradient."""

    def inside(self, region: "Region", x: Tensor) -> Tensor:
        """Whether x lies in the region, strictly: [batch] bool, in float64."""


@dataclasses.dataclass(frozen=True)
class Region:
    """The ball of radius `eps` around `x` in a threat's sense, within the pixel range.

    x: [batch, ...]; eps: a scalar or [batch]; lower, upper: the pixel range.
    """

    threat: Threat
    x: Tensor
    eps: Tensor | float
    lower: float = 0.0
    upper: float = 1.0

    def radius(self) -> Tensor:
        """eps, shaped to broadcast against x."""
        eps = self._eps()
        return tf.reshape(eps, [-1] + [1] * (self.x.shape.rank - 1)) if eps.shape.rank else eps

    def outward(self) -> "Region":
        """A region that still contains this one when its ends are computed in float32."""
        return dataclasses.replace(self, eps=self._eps() * (1.0 + ROUNDING) + self._end_rounding())

    def inward(self) -> "Region":
        """A region still inside this one when its ends are computed in float32."""
        eps = self._eps() * (1.0 - ROUNDING) - self._end_rounding()
        return dataclasses.replace(self, eps=tf.maximum(eps, 0.0))

    def _eps(self) -> Tensor:
        return tf.cast(self.eps, self.x.dtype)

    def _end_rounding(self) -> float:
        return ROUNDING * max(abs(self.lower), abs(self.upper))

    def box(self) -> tuple[Tensor, Tensor]:
        return self.threat.box(self)

    def minimum(self, coefficients: Tensor) -> Tensor:
        return self.threat.minimum(self, coefficients)

    def project(self, x: Tensor) -> Tensor:
        return self.threat.project(self, x)

    def start(self, noise: Tensor) -> Tensor:
        return self.threat.start(self, noise)

    def step(self, gradient: Tensor, size: Tensor) -> Tensor:
        return self.threat.step(self, gradient, size)

    def inside(self, x: Tensor) -> Tensor:
        return self.threat.inside(self, x)
