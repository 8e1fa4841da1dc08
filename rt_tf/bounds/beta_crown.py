"""Bounds of many leaves of one example's branch and bound, in one batch (beta-CROWN).

A leaf is a row of the specification with some units' signs. Leaves share the example's enclosure,
cut by their signs, and have slopes and multipliers of their own, optimised from where they start.
Source: Wang et al. 2021 (beta-CROWN).
"""

import math
from typing import NamedTuple

import tensorflow as tf

from rt_tf.bounds.backward import Walk, least_of, lower_bound, walk_back
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.relaxation import UnitSplit
from rt_tf.bounds.result import Box
from rt_tf.bounds.slopes import as_kept, ascend
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Lines, Tensor
from rt_tf.threats.region import Region

# The rate of slopes that start from a parent's: larger steps lose what the parent reached, and a
# search takes twenty times as long.
SLOPE_RATE = 0.1
DESCENT = (0.5, 0.3, 0.2, 0.1)  # steps, in radii


class Leaves(NamedTuple):
    """A batch of leaves; `units` are those whose sign the example's enclosure leaves open.

    rows: [leaves, classes], to be bounded from below. signs, slopes, multipliers: [leaves,
    units]; a multiplier counts where there is a sign, which is 1, -1 or 0 (open).
    """

    rows: Tensor
    signs: Tensor
    slopes: Tensor
    multipliers: Tensor


class LeafBounds(NamedTuple):
    """Bounds of leaves, and what a search needs to split them further.

    margins: [leaves], lower bounds in sound arithmetic. slopes (float16's numbers),
    multipliers: the variables that give them, [leaves, units]. scores: [leaves, units], what a
    unit's relaxation costs the bound, 0 where its sign is known. points: [leaves, ...], near
    where the linear bounds are least.
    """

    margins: Tensor
    slopes: Tensor
    multipliers: Tensor
    scores: Tensor
    points: Tensor


class LeafBounder:
    """Bounds leaves of one example; holds all that they share.

    enclosure: of the example alone (batch 1), in sound arithmetic. units: [units], numbers
    among all pre-activation values in the nodes' order.
    """

    def __init__(self, graph: Graph, region: Region, enclosure: Enclosure, units: Tensor) -> None:
        self.graph = graph
        self.region = region.outward()
        self.inner = region.inward()
        self.enclosure = enclosure
        self.units = units
        self.nodes = split_nodes(graph)
        self.sizes = [math.prod(enclosure.shapes[i]) for i in self.nodes]
        nowhere = tf.fill([sum(self.sizes)], tf.shape(units)[0])
        numbers = tf.range(tf.shape(units)[0])
        self.places = tf.tensor_scatter_nd_update(nowhere, units[:, tf.newaxis], numbers)

    def bound(self, leaves: Leaves, steps: Tensor, enough: float = 0.0) -> LeafBounds:
        """Optimises the leaves' slopes and multipliers by so many steps, and bounds them soundly.

        The optimisation may end early, once all leaves of the batch have margins above
        `enough`. steps: a scalar.
        """
        start = [leaves.slopes[:, tf.newaxis], leaves.multipliers[:, tf.newaxis]]

        def bound(variables: list[Tensor]) -> Tensor:
            return lower_bound(**self._pass(leaves, *variables))

        slopes, multipliers = ascend(bound, start, steps, slopes=1, enough=enough, rate=SLOPE_RATE)
        slopes = as_kept(slopes)
        query = self._pass(leaves, slopes, multipliers, "sound")
        walk = walk_back(**query)
        return LeafBounds(
            least_of(walk, query["enclosure"])[:, 0],
            slopes[:, 0],
            multipliers[:, 0],
            tf.where(leaves.signs == 0.0, self._scores(walk), 0.0) if self.nodes else leaves.signs,
            self._descended(leaves.rows, self._points(walk.final_coefficients[0][:, 0])),
        )

    def quick(self, leaves: Leaves) -> Tensor:
        """Lower bounds by the leaves' own slopes and multipliers, in fast arithmetic: [leaves]."""
        variables = leaves.slopes[:, tf.newaxis], leaves.multipliers[:, tf.newaxis]
        return lower_bound(**self._pass(leaves, *variables))[:, 0]

    def _pass(
        self, leaves: Leaves, slopes: Tensor, multipliers: Tensor, arithmetic: str = "fast"
    ) -> dict:
        signs = self._spread(leaves.signs)
        prices = self._spread(tf.where(leaves.signs == 0.0, 0.0, multipliers[:, 0]))
        lines = self._spread(slopes[:, 0])
        return {
            "graph": self.graph,
            "region": self.region,
            "spec": leaves.rows[:, tf.newaxis],
            "enclosure": cut_by_signs(self.enclosure, signs),
            "slope": {
                a: lines[self._source(a)][:, tf.newaxis]
                for a in self.graph.activations()
                if self._source(a)
            },
            "splits": {i: UnitSplit(sign, prices[i][:, tf.newaxis]) for i, sign in signs.items()},
            "arithmetic": arithmetic,
        }

    def _source(self, activation: int) -> int:
        return self.graph.nodes[activation - 1].inputs[0]

    def _spread(self, values: Tensor) -> dict[int, Tensor]:
        """[leaves, units] -> by pre-activation node [leaves, ...], 0 where there is no unit."""
        if not self.nodes:
            return {}
        parts = tf.split(_spread(values, self.units, self.places), self.sizes, axis=1)
        shapes = self.enclosure.shapes
        return {
            i: tf.reshape(part, [-1, *shapes[i]]) for i, part in zip(self.nodes, parts, strict=True)
        }

    def _gathered(self, by_node: dict[int, Tensor]) -> Tensor:
        """By pre-activation node [leaves, ...] -> [leaves, units]."""
        flat = [
            tf.reshape(by_node[i], [-1, n]) for i, n in zip(self.nodes, self.sizes, strict=True)
        ]
        return tf.gather(tf.concat(flat, axis=1), self.units, axis=1)

    def _scores(self, walk: Walk) -> Tensor:
        """The most that the lines of every unit cost the bound: [leaves, units]."""
        costs: dict[int, Tensor] = {}
        for a, lines in walk.relaxation.lines.items():
            assert isinstance(lines, Lines)
            source = self._source(a)
            if source:
                cost = _cost(walk.final_coefficients[a], lines.lower_slope, lines.upper_offset)[
                    :, 0
                ]
                costs[source] = costs[source] + cost if source in costs else cost
        return self._gathered(costs)

    def _points(self, coefficients: Tensor) -> Tensor:
        """Points near where linear functions are least over the region: [leaves, ...]."""
        return self._stepped(tf.zeros_like(coefficients) + self.inner.x, coefficients, 1.0)

    def _descended(self, rows: Tensor, x: Tensor) -> Tensor:
        """Points after a few steps down the rows: misclassified points are near those of bounds."""
        for share in DESCENT:
            with tf.GradientTape() as tape:
                tape.watch(x)
                values = tf.reduce_sum(rows * self.graph(x))
            x = self._stepped(x, tape.gradient(values, x), share)
        return x

    def _stepped(self, x: Tensor, gradient: Tensor, share: float) -> Tensor:
        """Points after a step of a share of the radius against a gradient, back in the region."""
        region, zeros = self.inner, tf.zeros([tf.shape(x)[0]])
        move = region.step(x, -gradient, share * region.radius(), zeros)
        return region.project(x + move)


def split_nodes(graph: Graph) -> list[int]:
    """The numbers of the pre-activation nodes, whose units are split, in order."""
    return sorted(graph.preactivations())


def cut_by_signs(enclosure: Enclosure, signs: dict[int, Tensor]) -> Enclosure:
    """The boxes of one example, cut by the signs of leaves.

    signs: by node, [leaves, ...]; boxes of these nodes are [leaves, ...] afterwards.
    """
    boxes = dict(enclosure.boxes)
    for i, sign in signs.items():
        lower, upper = boxes[i]
        boxes[i] = Box(
            tf.where(sign > 0.0, tf.maximum(lower, 0.0), lower),
            tf.where(sign < 0.0, tf.minimum(upper, 0.0), upper),
        )
    return Enclosure(boxes, enclosure.magnitudes)


def _cost(coefficients: Tensor, lower_slope: Tensor, upper_offset: Tensor) -> Tensor:
    """The gap of a unit's lines, weighed by its coefficient: [leaves, 1, ...].

    It is the upper line's height at 0 where that line is used, and a like height of the lower
    one where that is used.
    """
    above = tf.nn.relu(-coefficients) * upper_offset
    below = tf.nn.relu(coefficients) * upper_offset * tf.minimum(lower_slope, 1.0 - lower_slope)
    return above + below


@tf.custom_gradient
def _spread(values: Tensor, units: Tensor, places: Tensor) -> tuple:
    """[leaves, units] -> [leaves, all]. Its adjoint is a gather, too."""
    spread = tf.gather(tf.pad(values, [[0, 0], [0, 1]]), places, axis=1)

    def gradient(above: Tensor) -> tuple:
        return tf.gather(above, units, axis=1), None, None

    return spread, gradient
