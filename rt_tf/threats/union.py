"""The union threat: any one of the norm balls, each of a radius of its own."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from rt_tf import numbers
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.threats import norms
from rt_tf.threats.l1 import L1
from rt_tf.threats.l2 import L2
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region, Threat


@dataclasses.dataclass(frozen=True)
class Union:
    """The union of norm balls, by the contract of `rt_tf.threats.region.Threat`.

    radii: of the Linf, L2 and L1 balls in pixel units; 0 leaves one out. A region's eps
    multiplies them. UserError unless they are three finite numbers of at least 0, not all 0.
    Source: Wong 2020 (thesis), 5.3; the default radii are those of its MNIST models.
    """

    radii: tuple[float, float, float] = (0.3, 1.5, 12.0)

    name = "union"
    is_box = False
    has_support = True

    def __post_init__(self) -> None:
        """Keeps the radii as Python's numbers."""
        radii = [numbers.number(radius) for radius in _listed(self.radii)]
        good = [radius is not None and 0.0 <= radius <= numbers.LARGEST for radius in radii]
        if len(radii) != 3 or not all(good) or not any(radii):
            raise UserError(
                "radii: expected three finite numbers of at least 0, of the Linf, L2 and L1 balls, "
                f"at least one above 0; received {self.radii!r}"
            )
        object.__setattr__(self, "radii", tuple(radii))

    @property
    def parts(self) -> list[tuple[Threat, float]]:
        """The balls of a radius above 0, with their radii."""
        balls: tuple[Threat, ...] = (Linf(), L2(), L1())
        return [(ball, r) for ball, r in zip(balls, self.radii, strict=True) if r > 0.0]

    @property
    def largest(self) -> float:
        return min(ball.largest / radius for ball, radius in self.parts)

    def spread(self, pixels: int) -> float:
        return max(ball.spread(pixels) / radius for ball, radius in self.parts)

    def regions(self, region: Region) -> list[Region]:
        """The regions of the parts."""
        return [
            dataclasses.replace(region, threat=ball, eps=radius * region.eps)
            for ball, radius in self.parts
        ]

    def by_feature(self, region: Region) -> Region:
        return region

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        lower, upper = zip(*(part.box() for part in self.regions(region)), strict=True)
        return _over(tf.minimum, lower), _over(tf.maximum, upper)

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        return _over(tf.maximum, [r * ball.dual_norm(coefficients) for ball, r in self.parts])

    def minimum(self, region: Region, coefficients: Tensor) -> Tensor:
        return _over(tf.minimum, [part.minimum(coefficients) for part in self.regions(region)])

    def project(self, region: Region, x: Tensor) -> Tensor:
        """The nearest of the parts' projections."""
        points = [part.project(x) for part in self.regions(region)]
        return _best(points, [-norms.euclidean(x - point) for point in points])

    def start(self, region: Region, noise: Tensor) -> Tensor:
        """A random point of a random part, which the fraction of the noise's sum chooses."""
        parts = self.regions(region)
        share = tf.math.floormod(tf.reduce_sum(noise, axis=list(range(1, noise.shape.rank))), 1.0)
        points = [part.start(noise) for part in parts]
        return _best(points, [-tf.abs(share * len(parts) - i - 0.5) for i in range(len(parts))])

    def step(
        self, region: Region, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        """The step, among the parts' ones back in their part, that climbs most by the gradient."""
        moves = [
            part.project(x + part.step(x, gradient, radius * size, chance)) - x
            for part, (_, radius) in zip(self.regions(region), self.parts, strict=True)
        ]
        axes = list(range(1, x.shape.rank))
        return _best(moves, [tf.reduce_sum(gradient * move, axis=axes) for move in moves])

    def distance(self, region: Region, x: Tensor) -> Tensor:
        sizes = [
            part.distance(x) / radius
            for part, (_, radius) in zip(self.regions(region), self.parts, strict=True)
        ]
        return _over(tf.minimum, sizes)

    def inside(self, region: Region, x: Tensor) -> Tensor:
        return _over(tf.logical_or, [part.inside(x) for part in self.regions(region)])


def _over(combine: Callable[..., Tensor], values: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return functools.reduce(combine, values)


def _best(points: list[Tensor], scores: list[Tensor]) -> Tensor:
    """The point of the highest score, by example: [batch, ...]. scores: [batch] each."""
    best = tf.argmax(tf.stack(scores, axis=1), axis=1)
    return tf.gather(tf.stack(points, axis=1), best, batch_dims=1)


def _listed(radii: Any) -> list[Any]:
    """The radii one by one; none where they are not several."""
    return list(radii) if np.iterable(radii) and not isinstance(radii, str | bytes) else []
