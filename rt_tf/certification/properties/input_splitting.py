"""A complete search for networks of few inputs: bisects the box until every part is excluded.

Many boxes are bounded at once, in sound arithmetic; one that stays open is cut across the input
that its bound is most sensitive to. Source: Wang et al. 2018 (ReluVal; Neurify).
"""

import heapq
import math
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.backward import least_of, walk_back
from rt_tf.bounds.intermediate import MEMORY, Settings, full_enclosure
from rt_tf.bounds.interval import Enclosure, enclose
from rt_tf.bounds.result import Box
from rt_tf.certification.properties.boxes import Boxes, effects, middles
from rt_tf.certification.properties.clause_graph import lowered
from rt_tf.certification.properties.exclusion import ClauseResult
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.box import between
from rt_tf.threats.region import Region

MOST_INPUTS = 10
BOXES = 256  # that are bounded at once
LEAST = 2.0**-22  # share of the region's width; in smaller boxes rounding decides bounds


class BoxBounds(NamedTuple):
    """The bounds of boxes.

    margins: [boxes, rows]; coefficients: of the linear bounds, [boxes, rows, inputs];
    preactivations: see `Boxes`.
    """

    margins: np.ndarray
    coefficients: np.ndarray
    preactivations: np.ndarray


class InputSplitting:
    """A complete search for networks of few inputs; it leaves clauses of other networks open.

    most_inputs: the largest number of inputs. memory: MiB for intermediate bounds.
    """

    def __init__(self, most_inputs: int = MOST_INPUTS, memory: float = MEMORY) -> None:
        self.most_inputs = most_inputs
        self.memory = memory
        self._compiled: tuple[Graph, Compiled] | None = None

    def __call__(
        self,
        graph: Graph,
        region: Region,
        rows: Tensor,
        offsets: Sequence[Fraction],
        seconds: float,
    ) -> ClauseResult:
        """Searches one clause, by the contract of `exclusion.Search`."""
        deadline = time.perf_counter() + seconds
        shape = region.x.shape[1:]
        if math.prod(shape) > self.most_inputs:
            return ClauseResult(False, why=f"more than {self.most_inputs} inputs")
        if self._compiled is None or self._compiled[0] is not graph:
            self._compiled = graph, Compiled(graph, shape, rows.shape[-1], self.memory)
        return _Splitting(self._compiled[1], region, rows[0].numpy(), offsets).run(deadline)


class Compiled:
    """The compiled computations for one network, whose inputs are flat here."""

    def __init__(self, graph: Graph, shape: Sequence[int], outputs: int, memory: float) -> None:
        self.graph = graph
        self.shape = shape
        self.settings = Settings("adaptive", "sound", memory)
        self.nodes = sorted(graph.rectified() | graph.curved_reads())
        zeros = tf.zeros([1, *shape])
        shapes = enclose(graph, Box(zeros, zeros)).shapes
        self.shapes = [shapes[i] for i in self.nodes]
        self.units = sum(map(math.prod, self.shapes))
        point = tf.TensorSpec([None, math.prod(shape)])
        preactivations = tf.TensorSpec([None, 2, self.units])
        signature = [point, point, preactivations, tf.TensorSpec([None, outputs])]
        self._bounded = tf.function(self._bound, autograph=False, input_signature=signature)
        self._evaluated = tf.function(
            lambda x: graph(self._shaped(x)), autograph=False, input_signature=[point]
        )

    def whole(self, region: Region) -> Boxes:
        """The region as one box, with infinite bounds of its pre-activation values."""
        lower, upper = (np.reshape(end, [1, -1]) for end in (region.lower, region.upper))
        preactivations = np.full((1, 2, self.units), np.inf, np.float32)
        preactivations[:, 0] = -np.inf
        return Boxes(lower, upper, preactivations, np.zeros_like(lower))

    def bound(self, boxes: Boxes, rows: np.ndarray) -> BoxBounds:
        """Lower bounds of rows [rows, outputs] of the outputs, in sound arithmetic."""
        return BoxBounds(*(t.numpy() for t in self._bounded(*boxes[:3], rows)))

    def outputs(self, points: np.ndarray) -> np.ndarray:
        """The network's outputs at points [points, inputs]."""
        return self._evaluated(points).numpy()

    def _bound(self, lower: Tensor, upper: Tensor, preactivations: Tensor, rows: Tensor) -> tuple:
        region = between(self._shaped(lower), self._shaped(upper)).outward()
        enclosure = full_enclosure(
            self.graph, region, self.settings, boxes=self._boxes(preactivations)
        )
        spec = tf.repeat(rows[tf.newaxis], tf.shape(lower)[0], axis=0)
        walk = walk_back(self.graph, region, spec, enclosure, arithmetic="sound")
        coefficients = tf.reshape(
            walk.final_coefficients[0], tf.concat([tf.shape(spec)[:2], [-1]], axis=0)
        )
        return least_of(walk, enclosure), coefficients, self._joined(enclosure)

    def _shaped(self, x: Tensor) -> Tensor:
        return tf.reshape(x, [-1, *self.shape])

    def _boxes(self, preactivations: Tensor) -> dict[int, Box]:
        """The bounds of pre-activation values [boxes, 2, units] by node."""
        by_node, start = {}, 0
        for i, shape in zip(self.nodes, self.shapes, strict=True):
            end = start + math.prod(shape)
            ends = tf.unstack(preactivations[:, :, start:end], axis=1)
            by_node[i] = Box(*(tf.reshape(values, [-1, *shape]) for values in ends))
            start = end
        return by_node

    def _joined(self, enclosure: Enclosure) -> Tensor:
        """The bounds of pre-activation values as one tensor, [boxes, 2, units]."""
        none = tf.zeros([tf.shape(enclosure.boxes[0].lower)[0], 2, 0])
        ends = [tf.stack(enclosure.boxes[i], axis=1) for i in self.nodes]
        flat = [tf.reshape(both, [-1, 2, math.prod(both.shape[2:])]) for both in ends]
        return tf.concat([none, *flat], axis=2)


class _Splitting:
    """The search for one clause: a heap of (excess, number, box), the boxes that are open."""

    def __init__(
        self, compiled: Compiled, region: Region, rows: np.ndarray, offsets: Sequence[Fraction]
    ) -> None:
        self.compiled = compiled
        self.rows = rows
        self.below = lowered(offsets)  # a float32 number is above it if and only if the offset
        self.offsets = np.array([float(offset) for offset in offsets])
        self.start = compiled.whole(region)
        self.least = LEAST * (self.start.upper - self.start.lower)
        self.open: list[tuple[float, int, Boxes]] = []
        self.bounded = 0

    def run(self, deadline: float) -> ClauseResult:
        """Splits until all boxes are excluded, an input in the clause turns up, or time is over."""
        fresh = self.start
        while time.perf_counter() <= deadline:
            still, excess, point = self._judge(fresh)
            if point is not None:
                return ClauseResult(False, point)
            if (still.effects < 0.0).all(axis=1).any():
                return ClauseResult(False, why="a box is too small to be cut")
            self._keep(still, excess)
            if not self.open:
                return ClauseResult(True)
            fresh = self._worst().halves()
        return ClauseResult(False, why="time")

    def _keep(self, boxes: Boxes, excess: np.ndarray) -> None:
        for lacking, *box in zip(excess, *boxes, strict=True):
            self.bounded += 1
            heapq.heappush(self.open, (float(lacking), self.bounded, Boxes(*box)))

    def _worst(self) -> Boxes:
        """The boxes to split next, those that lack most."""
        count = min(BOXES // 2, len(self.open))
        boxes = [heapq.heappop(self.open)[2] for _ in range(count)]
        return Boxes(*map(np.stack, zip(*boxes, strict=True)))

    def _judge(self, boxes: Boxes) -> tuple[Boxes, np.ndarray, np.ndarray | None]:
        """Bounds boxes: those that stay open, their best rows' excess, an input in the clause.

        The input is None if none of those tried is in the clause.
        """
        bounds = self.compiled.bound(boxes, self.rows)
        finite = np.isfinite(bounds.margins)
        still = np.flatnonzero(~(finite & (bounds.margins > self.below)).any(axis=1))
        excess = np.where(finite, bounds.margins - self.offsets, -np.inf)[still]
        row = excess.argmax(axis=1)
        slopes = bounds.coefficients[still, row]
        lower, upper = boxes.lower[still], boxes.upper[still]
        point = self._deepest(lower, upper, slopes) if still.size else None
        rest = Boxes(
            lower, upper, bounds.preactivations[still], effects(lower, upper, slopes, self.least)
        )
        return rest, excess[np.arange(len(still)), row], point

    def _deepest(
        self, lower: np.ndarray, upper: np.ndarray, slopes: np.ndarray
    ) -> np.ndarray | None:
        """The point deepest in the clause, if any is in it.

        Candidates are the boxes' centres, and where the boxes' linear bounds are least.
        """
        points = np.concatenate([middles(lower, upper), np.where(slopes > 0.0, lower, upper)])
        outputs = self.compiled.outputs(points).astype(np.float64)
        worst = (outputs @ self.rows.T.astype(np.float64) - self.offsets).max(axis=1)
        best = int(worst.argmin())
        return points[best].reshape(self.compiled.shape) if worst[best] <= 0.0 else None
