"""Regions: all inputs that an adversary can reach from an example. The contract of threats."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from rt_tf.domain import UNIT, Domain, End, Given
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

# Four times the largest relative rounding error of float32: more than x + eps can suffer.
ROUNDING = 2.0**-22
TINY = 2.0**-126  # the smallest normal float32


class Threat(Protocol):
    """The contract of a threat model. Radii are in the input's own units.

    Results for an example depend on its own pixels and radius alone.
    """

    name: str
    largest: float  # the radius that reaches all of a domain of width one
    is_box: bool  # whether the region is the box of its ends
    has_support: bool  # whether `minimum` and `dual_norm` answer

    def spread(self, pixels: int) -> float:
        """The radius at which each of so many pixels may move by one."""

    def by_feature(self, region: "Region") -> "Region":
        """The region with a radius for each feature, where they differ; else the region itself."""

    def box(self, region: "Region") -> tuple[Tensor, Tensor]:
        """Elementwise lower and upper ends of the region, each [batch, ...]."""

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        """The largest <coefficients, move> over moves of radius one: [b, spec, ...] -> [b, spec].

        Its gradient is finite everywhere. UserError for a threat without support function.
        """

    def minimum(self, region: "Region", coefficients: Tensor) -> Tensor:
        """The support function, the least <coefficients, x> over the region: [batch, spec].

        Or a lower bound of it where that is cheaper. coefficients: [batch, spec, ...],
        whose precision the result has; in float64 its error, on a region taken `outward()`,
        is that of a sum over the pixels of |coefficients x|. UserError for a threat without
        support function.
        """

    def project(self, region: "Region", x: Tensor) -> Tensor:
        """The region's point nearest to x, each [batch, ...].

        It is strictly inside if the region was taken `inward()`.
        """

    def start(self, region: "Region", noise: Tensor) -> Tensor:
        """A random point of the region, from noise uniform in [0, 1): each [batch, ...]."""

    def step(
        self, region: "Region", x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        """The steepest-ascent step of a size (in radius units) along a gradient: [batch, ...].

        Zero where the gradient is. It may lead out of the region. x, gradient: [batch, ...].
        size: a scalar, or of x's rank so that it broadcasts against x. chance: [batch], uniform
        in [0, 1), for a step that has a random part.
        """

    def distance(self, region: "Region", x: Tensor) -> Tensor:
        """The least eps at which the ball around region.x holds x [batch, ...]: float64 [batch]."""

    def inside(self, region: "Region", x: Tensor) -> Tensor:
        """Whether x [batch, ...] lies in the region, strictly: [batch] bool, in float64.

        Numbers below the normal range of float32 count as zero: TensorFlow flushes them.
        """


@dataclasses.dataclass(frozen=True)
class Region:
    """The ball of radius `eps` around `x` by a threat's norm, within the input's domain.

    x: [batch, ...], inside the domain. eps: a number, [batch], or, of a threat that moves
    features one by one, [batch, ...] or [1, ...] with a radius for each (0 where it is fixed).
    domain: in any form that `Domain.of` takes. UserError where x, eagerly known, is outside of
    the domain.
    """

    threat: Threat
    x: Tensor
    eps: Tensor | float
    domain: Domain = UNIT

    def __post_init__(self) -> None:
        object.__setattr__(self, "domain", Domain.of(self.domain))
        if isinstance(self.eps, np.ndarray):
            object.__setattr__(self, "eps", tf.constant(self.eps))
        if not (tf.is_symbolic_tensor(self.x) or self.domain.is_by_example):
            self.domain.check(self.x, "region")

    @property
    def lower(self) -> End:
        """The domain's lower ends: a number, or [...] or [batch, ...] in the precision of x."""
        return self._end(self.domain.lower)

    @property
    def upper(self) -> End:
        """The domain's upper ends: a number, or [...] or [batch, ...] in the precision of x."""
        return self._end(self.domain.upper)

    def radius(self, rank: int | None = None) -> Tensor:
        """eps in a shape that broadcasts against x, or against tensors of another rank.

        A scalar, [batch, 1, ...], or, where features have radii of their own, as it is.
        """
        eps = self._eps()
        if eps.shape.rank > 1:
            return eps
        return by_example(eps, rank or self.x.shape.rank)

    def outward(self) -> "Region":
        """A region that still contains this one when its ends are computed in float32."""
        region = self.threat.by_feature(self)
        eps = region._eps()
        more = ROUNDING * tf.maximum(region._size() * region.threat.spread(1), eps)
        wide = eps * (1.0 + ROUNDING) + more
        if eps.shape.rank > 1:
            # A feature that is fixed does not move by a rounding either; one whose radius is lost
            # in float32 is not fixed.
            fixed = region.exact_eps() == 0.0
            wide = tf.where(fixed, 0.0, tf.where(wide < TINY, tf.cast(TINY, wide.dtype), wide))
        return dataclasses.replace(region, eps=wide)

    def inward(self) -> "Region":
        """A region still inside this one when its points are computed in float32."""
        region = self.threat.by_feature(self)
        eps, spread = region._eps(), region.threat.spread(math.prod(self.x.shape[1:]))
        less = ROUNDING * tf.maximum(region._size() * spread, eps)
        return dataclasses.replace(region, eps=tf.maximum(eps * (1.0 - ROUNDING) - less, 0.0))

    def exact_eps(self) -> Tensor:
        """eps in float64, in its own shape: a scalar, [batch], [batch, ...] or [1, ...].

        A plain number is not rounded to float32, as tf.cast would.
        """
        is_tensor = tf.is_tensor(self.eps)
        return tf.cast(self.eps, tf.float64) if is_tensor else tf.constant(self.eps, tf.float64)

    def _eps(self) -> Tensor:
        return tf.cast(self.eps, self.x.dtype)

    def _size(self) -> Tensor:
        """The largest |x| of each example, or of each feature where eps has one for each."""
        size = tf.abs(self.x)
        if self._eps().shape.rank > 1:
            return size
        return tf.reduce_max(size, axis=list(range(1, size.shape.rank)))

    def _end(self, end: End) -> End:
        if isinstance(end, np.ndarray):
            return end.astype(self.x.dtype.as_numpy_dtype)
        return end

    def take(self, rows: Tensor) -> "Region":
        """The region around some of the examples. rows: their numbers, [rows]."""

        def rows_of(values: Any, least_rank: int) -> Any:
            by_example = tf.is_tensor(values) and values.shape.rank >= least_rank
            return tf.gather(values, rows) if by_example and values.shape[0] != 1 else values

        rank = self.x.shape.rank
        domain = self.domain.change(lambda end: rows_of(end, rank))
        return dataclasses.replace(
            self, x=tf.gather(self.x, rows), eps=rows_of(self.eps, 1), domain=domain
        )

    def by_pixel(self, change: Callable[[Tensor], Tensor]) -> "Region":
        """The region with a change of all tensors that have a value for each pixel, [batch, ...].

        The domain has ends by example then: pixels that a change adds around the image are
        no inputs.
        """

        def whole(values: Any) -> Tensor:
            return change(tf.cast(values, self.x.dtype) + tf.zeros_like(self.x))

        by_feature = self._eps().shape.rank > 1
        eps = whole(self.eps) if by_feature else self.eps
        return dataclasses.replace(
            self, x=change(self.x), eps=eps, domain=self.domain.change(whole)
        )

    def box(self) -> tuple[Tensor, Tensor]:
        """Elementwise lower and upper ends of the region, each [batch, ...]."""
        return self.threat.box(self)

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        """The threat's `dual_norm`: [batch, spec, ...] -> [batch, spec]."""
        return self.threat.dual_norm(coefficients)

    def minimum(self, coefficients: Tensor) -> Tensor:
        """A lower bound of <coefficients, x> over x: [batch, spec, ...] -> [batch, spec].

        UserError for a threat without support function.
        """
        return self.threat.minimum(self, coefficients)

    def project(self, x: Tensor) -> Tensor:
        """The region's point nearest to x, each [batch, ...]."""
        return self.threat.project(self, x)

    def start(self, noise: Tensor) -> Tensor:
        """A random point of the region, from noise uniform in [0, 1): each [batch, ...]."""
        return self.threat.start(self, noise)

    def step(self, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor) -> Tensor:
        """The threat's `step` from x along a gradient, each [batch, ...]; it may lead out.

        size: in radius units, a scalar or of x's rank. chance: [batch], uniform in [0, 1).
        """
        return self.threat.step(self, x, gradient, size, chance)

    def distance(self, x: Tensor) -> Tensor:
        """The least eps at which the ball around self.x holds x [batch, ...]: float64 [batch]."""
        return self.threat.distance(self, x)

    def inside(self, x: Tensor) -> Tensor:
        """Whether x [batch, ...] lies in the region, strictly: [batch] bool."""
        return self.threat.inside(self, x)


def largest_radius(threat: Threat, domain: Given) -> float:
    """The radius beyond which a threat reaches nothing more; Wasserstein's has no unit."""
    domain = Domain.of(domain)
    if not threat.has_support:
        return threat.largest
    widths, scale = np.subtract(domain.upper, domain.lower), getattr(threat, "scale", None)
    if scale is None:
        return threat.largest * float(np.max(widths))
    scales = np.array(scale)
    moving = scales > 0.0
    return float(np.max(np.broadcast_to(widths, scales.shape)[moving] / scales[moving]))
