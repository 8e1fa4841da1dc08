"""A region: all inputs an adversary can reach from one example."""

import dataclasses
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

# Four times the largest relative rounding error of float32: more than x + eps can suffer.
ROUNDING = 2.0**-22


class Threat(Protocol):
    """The contract of a threat model. Radii are in pixel units of [0, 1]; all are at most largest.

    What is computed for an example depends on its own pixels and radius alone.
    """

    name: str
    largest: float
    is_box: bool  # whether the region is the box of its ends
    has_support: bool  # whether `minimum` and `dual_norm` answer

    def spread(self, pixels: int) -> float:
        """The radius at which each of so many pixels may move by one."""

    def box(self, region: "Region") -> tuple[Tensor, Tensor]:
        """Elementwise lower and upper ends of the region, each [batch, ...]."""

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        """The largest <coefficients, move> over moves of radius one: [b, spec, ...] -> [b, spec].

        Its gradient is finite everywhere.
        """

    def minimum(self, region: "Region", coefficients: Tensor) -> Tensor:
        """The support function: min of <coefficients, x> over the region, [batch, spec].

        A lower bound of it where that is cheaper. In the coefficients' precision; in float64 its
        error, on a region taken `outward()`, is that of a sum over the pixels of |coefficients x|.
        """

    def project(self, region: "Region", x: Tensor) -> Tensor:
        """The nearest point of the region; inside it, if the region was taken `inward()`."""

    def start(self, region: "Region", noise: Tensor) -> Tensor:
        """A random point of the region from noise uniform in [0, 1), shaped as x."""

    def step(
        self, region: "Region", x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        """The steepest-ascent step from x of a given size (in radius units) along a gradient.

        Zero where the gradient is. It may lead out of the region. chance: [batch], uniform in
        [0, 1), for a step that has a random part.
        """

    def distance(self, region: "Region", x: Tensor) -> Tensor:
        """The least eps at which the ball around region.x holds x: [batch], float64."""

    def inside(self, region: "Region", x: Tensor) -> Tensor:
        """Whether x lies in the region, strictly: [batch] bool, in float64.

        Numbers below the normal range of float32 count as zero: TensorFlow flushes them.
        """


@dataclasses.dataclass(frozen=True)
class Region:
    """The ball of radius `eps` around `x` in a threat's sense, within the pixel range.

    x: [batch, ...]; eps: a scalar or [batch]; lower, upper: the pixel range, which may be another
    one for each pixel: [batch, ...], in float32.
    """

    threat: Threat
    x: Tensor
    eps: Tensor | float
    lower: Tensor | float = 0.0
    upper: Tensor | float = 1.0

    def radius(self, rank: int | None = None) -> Tensor:
        """eps, shaped to broadcast against x or against another tensor's rank."""
        return by_example(self._eps(), rank or self.x.shape.rank)

    def outward(self) -> "Region":
        """A region that still contains this one when its ends are computed in float32."""
        return dataclasses.replace(
            self,
            eps=self._eps() * (1.0 + ROUNDING)
            + ROUNDING * self._largest_pixel() * self.threat.spread(1),
            lower=_float32(self.lower, -math.inf),
            upper=_float32(self.upper, math.inf),
        )

    def inward(self) -> "Region":
        """A region still inside this one when its points are computed in float32."""
        spread = self.threat.spread(math.prod(self.x.shape[1:]))
        eps = self._eps() * (1.0 - ROUNDING) - ROUNDING * self._largest_pixel() * spread
        return dataclasses.replace(
            self,
            eps=tf.maximum(eps, 0.0),
            lower=_float32(self.lower, math.inf),
            upper=_float32(self.upper, -math.inf),
        )

    def _eps(self) -> Tensor:
        return tf.cast(self.eps, self.x.dtype)

    def _largest_pixel(self) -> Tensor:
        ends = (tf.cast(end, self.x.dtype) for end in (self.lower, self.upper))
        return tf.maximum(*(tf.reduce_max(tf.abs(end)) for end in ends))

    def take(self, rows: Tensor) -> "Region":
        """The region around some of the examples."""
        eps = self.eps
        if isinstance(eps, tf.Tensor) and eps.shape.rank:
            eps = tf.gather(eps, rows)
        return dataclasses.replace(self, eps=eps).by_pixel(lambda values: tf.gather(values, rows))

    def by_pixel(self, change: Callable[[Tensor], Tensor]) -> "Region":
        """The region with a change of all that it has for each pixel, [batch, ...]."""
        ends = {name: getattr(self, name) for name in ("lower", "upper")}
        changed = {name: change(end) for name, end in ends.items() if tf.is_tensor(end)}
        return dataclasses.replace(self, x=change(self.x), **changed)

    def box(self) -> tuple[Tensor, Tensor]:
        return self.threat.box(self)

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        return self.threat.dual_norm(coefficients)

    def minimum(self, coefficients: Tensor) -> Tensor:
        return self.threat.minimum(self, coefficients)

    def project(self, x: Tensor) -> Tensor:
        return self.threat.project(self, x)

    def start(self, noise: Tensor) -> Tensor:
        return self.threat.start(self, noise)

    def step(self, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor) -> Tensor:
        return self.threat.step(self, x, gradient, size, chance)

    def distance(self, x: Tensor) -> Tensor:
        return self.threat.distance(self, x)

    def inside(self, x: Tensor) -> Tensor:
        return self.threat.inside(self, x)


def _float32(end: Tensor | float, towards: float) -> Tensor | float:
    """The float32 number nearest to an end of the pixel range on one side of it."""
    if tf.is_tensor(end):
        return end
    near = np.float32(end)
    crossed = float(near) < end if towards > end else float(near) > end
    return float(np.nextafter(near, np.float32(towards)) if crossed else near)
