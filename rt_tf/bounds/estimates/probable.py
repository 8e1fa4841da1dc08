"""Bounds that hold with probability 1 - delta over random projections.

Layers are bounded from many projections instead of exactly; the margins are then exact. Such a
bound is never deterministic. The rounding of the projections themselves is not covered.

Source: Wong 2020 (thesis), section 3.4.6.
"""

import dataclasses
import functools
import math

import tensorflow as tf
from scipy import optimize, stats

from rt_tf.bounds.estimates.projection import Projections
from rt_tf.bounds.intermediate import is_exact
from rt_tf.bounds.interval import Enclosure, enclose
from rt_tf.bounds.result import Box, cut
from rt_tf.bounds.zonotope import Zonotope, image
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region


@dataclasses.dataclass(frozen=True)
class Confidence:
    """The probability with which bounds hold, and the number of draws that they come from.

    delta: the probability, by example, that a bound fails. vectors: of each estimate (the
    thesis's k). estimators: independent estimates of which the largest counts (the thesis's m).
    """

    delta: float
    vectors: int = 200
    estimators: int = 10

    def tail(self, estimates: int) -> float:
        """The probability with which one estimate may fail, so that all together fail with delta.

        The largest of the independent estimates counts; estimates: the number of such
        maxima.
        """
        return (self.delta / max(estimates, 1)) ** (1.0 / self.estimators)


def probable_enclosure(
    graph: Graph, region: Region, confidence: Confidence, seed: Tensor, arithmetic: str = "fast"
) -> Enclosure:
    """Boxes of all nodes that hold together with probability 1 - delta, for each example.

    seed: [2] integers. UserError when there are too few vectors for delta. Every layer is
    bounded from new projections: the relaxations below it depend on those drawn before.
    """
    estimated = {i for i in graph.preactivations() if not is_exact(graph, region, i)}
    shapes = enclose(graph, Box(*region.box())).shapes
    below = {i: sum(k in graph.ancestors(i) for k in graph.bent()) for i in estimated}
    estimates = sum(math.prod(shapes[i]) * (1 + below[i]) for i in estimated)
    tail = confidence.tail(estimates)
    norms = (
        functools.partial(_geometric, shrink=1.0 - geometric_error(confidence.vectors, tail)),
        functools.partial(_euclidean, quantile=stats.chi2.ppf(tail, confidence.vectors)),
    )

    def tighten(i: int, enclosure: Enclosure) -> Box:
        if i not in estimated:
            return enclosure.boxes[i]

        def draw(k: Tensor) -> Zonotope:
            seeds = tf.cast(seed, tf.int64) + tf.stack([tf.constant(i, tf.int64), 1009 * k])
            return _drawn(
                graph, region, i, enclosure, Projections(confidence.vectors, seeds, *norms)
            )

        return cut(enclosure.boxes[i], _box(draw, confidence.estimators))

    return enclose(graph, Box(*region.box()), arithmetic, tighten)


def geometric_error(vectors: int, tail: float) -> float:
    """The t for which a geometric mean of Cauchy products over 1 - t is too small that rarely.

    vectors: number of products. tail: the probability. UserError when no t is large enough.
    Source: Li et al. 2007, lemma 3; Wong 2020 (thesis), eq. 3.92.
    """

    def excess(t: float) -> float:
        return vectors * _exponent(t) + math.log(tail)

    most = 1.0 - 1e-6
    if excess(most) < 0.0:
        raise UserError(
            f"projections: expected enough vectors for a tail of {tail:.2g}; received {vectors}"
        )
    return optimize.brentq(excess, 1e-9, most)


def _exponent(t: float) -> float:
    """The rate q in P(estimate < (1 - t) norm) <= exp(-k q)."""
    g = (2.0 / math.pi) * math.log1p(-t)
    return -0.5 * math.log1p(g * g) + (2.0 / math.pi) * math.atan(g) * math.log1p(-t)


def _geometric(products: Tensor, shrink: float) -> Tensor:
    logarithms = tf.math.log(tf.abs(products) + 1e-37)
    return tf.exp(tf.reduce_mean(logarithms, axis=1)) * ((1.0 + 1e-4) / shrink)


def _euclidean(products: Tensor, quantile: float) -> Tensor:
    return tf.sqrt(tf.reduce_sum(products * products, axis=1) * ((1.0 + 1e-4) / quantile))


def _drawn(
    graph: Graph, region: Region, i: int, enclosure: Enclosure, projections: Projections
) -> Zonotope:
    """The zonotope of node i from new projections."""
    values = {0: projections.region(region)}
    for k in sorted(graph.ancestors(i)):
        node = graph.nodes[k - 1]
        boxes = [enclosure.boxes[j] for j in node.inputs]
        inputs = [values[j] for j in node.inputs]
        own = enclosure.boxes[k] if node.limits else None
        values[k] = image(node.op, inputs, boxes, projections.units, own)
    return values[i]


def _box(draw, estimators: int) -> Box:  # type: ignore[no-untyped-def]
    """The box from the largest estimate, over independent draws, of every block's radius."""

    def radii(z: Zonotope) -> list[Tensor]:
        return [symbols.reach(generators) for symbols, generators in z.blocks.items()]

    first = draw(tf.constant(0, tf.int64))
    _, largest = tf.while_loop(
        lambda k, _: k < estimators,
        lambda k, largest: (
            k + 1,
            [tf.maximum(a, b) for a, b in zip(largest, radii(draw(k)), strict=True)],
        ),
        (tf.constant(1, tf.int64), radii(first)),
        parallel_iterations=1,
    )
    radius = tf.add_n(largest)
    return Box(first.centre - radius, first.centre + radius)
