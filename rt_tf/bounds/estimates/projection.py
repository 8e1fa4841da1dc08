"""Random projections: zonotopes of a few random combinations of their symbols.

A row's sum of absolute generators is estimated from its products with Cauchy vectors, its Euclidean
norm from products with Gaussian ones: the cost of bounding all layers becomes linear in the number
of hidden units. Estimates are for training; they are no bounds, and no certificate uses them.

Source: Wong 2020 (thesis), theorem 4 and algorithm 3.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from rt_tf.bounds.estimates.medians import median
from rt_tf.bounds.intermediate import is_exact
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.result import Box
from rt_tf.bounds.symbols import Symbols
from rt_tf.bounds.zonotope import Zonotope, enclose
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

Norm: TypeAlias = Callable[[Tensor], Tensor]  # [batch, vectors, ...] -> [batch, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Sketch:
    """Symbols of which `most` random combinations are kept; `norm` estimates their range.

    By the contract of `rt_tf.bounds.symbols.Symbols`, except that the range is no bound.
    """

    most: int
    norm: Norm

    def ends(self, generators: Tensor) -> Box:
        radius = self.reach(generators)
        return Box(-radius, radius)

    def reach(self, generators: Tensor) -> Tensor:
        return self.norm(generators)


def median_norm(products: Tensor) -> Tensor:
    """The L1 norms [batch, ...]: lower medians of Cauchy products [batch, vectors, ...]."""
    return median(tf.abs(products))


def root_mean_square(products: Tensor) -> Tensor:
    """The L2 norms [batch, ...], estimated from Gaussian products [batch, vectors, ...]."""
    mean = tf.reduce_mean(products * products, axis=1)
    return tf.sqrt(tf.maximum(mean, 1e-30))


class Projections:
    """Draws new vectors at every use, from a seed.

    vectors: number of vectors (the thesis's r). seed: [2] integers. l1, l2: estimators of norms
    from Cauchy and Gaussian products. UserError when there is no vector.
    """

    def __init__(
        self, vectors: int, seed: Tensor, l1: Norm | None = None, l2: Norm | None = None
    ) -> None:
        if vectors < 1:
            raise UserError(f"projections: expected 1 or more; received {vectors}")
        self.vectors = vectors
        self.seed = tf.cast(seed, tf.int64)
        self.l1, self.l2 = l1 or median_norm, l2 or root_mean_square
        self.uses = 0

    def region(self, region: Region) -> Zonotope:
        """The input's region: Cauchy products of a box, Gaussian ones of an L2 ball.

        UserError for any other threat.
        """
        if region.threat.name == "linf":
            box = Box(*region.box())
            symbols, generators = self.units(box.radius)
            return Zonotope(box.centre, {symbols: generators})
        if region.threat.name == "l2":
            normal = tf.random.stateless_normal(self._shape(region.x), self._next(), alg="philox")
            radii = region.radius(region.x.shape.rank + 1) * tf.ones_like(region.x)[:, tf.newaxis]
            return Zonotope(region.x, {Sketch(self.vectors, self.l2): radii * normal})
        raise UserError(
            f"random projections: expected the threat linf or l2; received {region.threat.name}"
        )

    def units(self, radii: Tensor) -> tuple[Symbols, Tensor]:
        """New symbols in [-1, 1], and their generators of these radii, [batch, ...]."""
        cauchy = _cauchy(self._shape(radii), self._next())
        return Sketch(self.vectors, self.l1), radii[:, tf.newaxis] * cauchy

    def _shape(self, values: Tensor) -> list[int]:
        return [1, self.vectors, *values.shape[1:]]

    def _next(self) -> Tensor:
        self.uses += 1
        return self.seed + tf.constant([0, self.uses], tf.int64)


def projected_enclosure(graph: Graph, region: Region, projections: Projections) -> Enclosure:
    """Estimated boxes of all nodes, none wider than intervals.

    Nothing is estimated where intervals are exact. Source: Wong 2020 (thesis), algorithm 3.
    """
    _, enclosure = enclose(
        graph,
        projections.region(region),
        Box(*region.box()),
        fresh=projections.units,
        cuts=lambda i: not is_exact(graph, region, i),
    )
    return enclosure


def _cauchy(shape: list[int], seed: Tensor) -> Tensor:
    uniform = tf.random.stateless_uniform(shape, seed, alg="philox")
    return tf.tan(math.pi * (uniform - 0.5))
