"""A complete search for networks of few inputs: bisects the box until every part is excluded.

Many boxes are bounded at once, in sound arithmetic; one that stays open is cut across the input
that its bound is most sensitive to. Source: Wang et al. 2018 (ReluVal; Neurify).
"""

import math
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.backward import refuse_undefined, walk_back
from rt_tf.bounds.full import MEMORY, Settings, full_enclosure
from rt_tf.certify.clause_graph import lowered
from rt_tf.certify.exclusion import Finding
from rt_tf.interchange.property import TINY
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.box import between
from rt_tf.threats.region import Region

MOST_INPUTS = 10
BOXES = 256  # that are bounded at once
SHARE = 0.1  # of a box's largest coefficient, that every input counts as having


class Boxes(NamedTuple):
    """Parts of a region: their ends [boxes, inputs].

    excess: [boxes], of the row that is nearest to excluding a box. effects: [boxes, inputs], how
    much its bound changes across a box.
    """

    lower: np.ndarray
    upper: np.ndarray
    excess: np.ndarray
    effects: np.ndarray

    def take(self, places: np.ndarray) -> "Boxes":
        """Some of the boxes."""
        return Boxes(*(values[places] for values in self))

    @property
    def are_small(self) -> bool:
        """Whether any of them has no number between its ends."""
        return bool((self.effects < 0.0).all(axis=1).any())

    def halves(self) -> "Boxes":
        """Both halves of every box."""
        own = np.arange(len(self.lower))
        place = self.effects.argmax(axis=1)
        middle = middles(self.lower, self.upper)[own, place]
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[own, place] = upper[own, place] = middle
        twice = (np.concatenate([ends] * 2) for ends in (self.excess, self.effects))
        return Boxes(
            np.concatenate([self.lower, lower]), np.concatenate([upper, self.upper]), *twice
        )


class Judged(NamedTuple):
    """Boxes bounded: margins [boxes, rows]; coefficients of the input [boxes, rows, inputs]."""

    margins: np.ndarray
    coefficients: np.ndarray


class InputSplitting:
    """A complete search for networks of at most so many inputs; leaves others open.

    memory: MiB for intermediate bounds.
    """

    def __init__(self, most_inputs: int = MOST_INPUTS, memory: float = MEMORY) -> None:
        self.most_inputs = most_inputs
        self.memory = memory
        self._made: tuple[Graph, _Compiled] | None = None

    def __call__(
        self,
        graph: Graph,
        region: Region,
        rows: Tensor,
        offsets: Sequence[Fraction],
        seconds: float,
    ) -> Finding:
        """The contract is in `rt_tf.certify.exclusion.Search`."""
        deadline = time.perf_counter() + seconds
        shape = region.x.shape[1:]
        if math.prod(shape) > self.most_inputs:
            return Finding(False, why=f"more than {self.most_inputs} inputs")
        if self._made is None or self._made[0] is not graph:
            self._made = graph, _Compiled(graph, shape, rows.shape[-1], self.memory)
        try:
            return _Splitting(self._made[1], rows[0].numpy(), offsets).run(region, deadline)
        except (tf.errors.ResourceExhaustedError, MemoryError):
            return Finding(False, why="memory")


class _Compiled:
    """The computations for one network, whose inputs are flat here."""

    def __init__(self, graph: Graph, shape: Sequence[int], outputs: int, memory: float) -> None:
        self.graph = graph
        self.shape = shape
        self.settings = Settings("adaptive", "sound", memory)
        ends = [tf.TensorSpec([None, math.prod(shape)])] * 2
        rows = tf.TensorSpec([None, outputs])
        self._bounded = tf.function(self._bound, autograph=False, input_signature=[*ends, rows])
        self._evaluated = tf.function(
            lambda x: graph(self._shaped(x)), autograph=False, input_signature=ends[:1]
        )

    def bound(self, lower: np.ndarray, upper: np.ndarray, rows: np.ndarray) -> Judged:
        """Lower bounds of rows of outputs in boxes, in sound arithmetic."""
        return Judged(*(found.numpy() for found in self._bounded(lower, upper, rows)))

    def outputs(self, points: np.ndarray) -> np.ndarray:
        """The network's outputs at points [points, inputs]."""
        return self._evaluated(points).numpy()

    def _bound(self, lower: Tensor, upper: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        region = between(self._shaped(lower), self._shaped(upper)).outward()
        enclosure = full_enclosure(self.graph, region, self.settings)
        spec = tf.repeat(rows[tf.newaxis], tf.shape(lower)[0], axis=0)
        walk = walk_back(self.graph, region, spec, enclosure, arithmetic="sound")
        coefficients = tf.reshape(walk.met[0], tf.concat([tf.shape(spec)[:2], [-1]], axis=0))
        return refuse_undefined(walk.minimum(), enclosure.boxes), coefficients

    def _shaped(self, x: Tensor) -> Tensor:
        return tf.reshape(x, [-1, *self.shape])


class _Splitting:
    """The search for one clause: the boxes that are open."""

    def __init__(self, compiled: _Compiled, rows: np.ndarray, offsets: Sequence[Fraction]) -> None:
        self.compiled = compiled
        self.rows = rows
        self.below = lowered(offsets)  # a float32 number is above it if and only if the offset
        self.offsets = np.array([float(offset) for offset in offsets])

    def run(self, region: Region, deadline: float) -> Finding:
        """Splits until all boxes are excluded, a point is met, or time is over."""
        lower, upper = (np.reshape(end, [1, -1]) for end in (region.lower, region.upper))
        fresh = Boxes(lower, upper, np.zeros(1), np.zeros_like(lower))
        rest = fresh.take(np.zeros(0, int))
        while len(fresh.lower):
            if time.perf_counter() > deadline:
                return Finding(False, why="time")
            still, point = self._judged(fresh)
            if point is not None:
                return Finding(False, point)
            if still.are_small:
                return Finding(False, why="no float32 number is between the ends of a box")
            fresh, rest = _worst(Boxes(*map(np.concatenate, zip(rest, still, strict=True))))
            fresh = fresh.halves()
        return Finding(True)

    def _judged(self, boxes: Boxes) -> tuple[Boxes, np.ndarray | None]:
        """Boxes that stay open; an input in the clause, if one was met."""
        found = self.compiled.bound(boxes.lower, boxes.upper, self.rows)
        excluded = np.isfinite(found.margins) & (found.margins > self.below)
        still = np.flatnonzero(~excluded.any(axis=1))
        excess = np.where(np.isfinite(found.margins), found.margins - self.offsets, -np.inf)[still]
        row = excess.argmax(axis=1)
        slopes = found.coefficients[still, row]
        lower, upper = boxes.lower[still], boxes.upper[still]
        point = self._met(lower, upper, slopes) if still.size else None
        worst = excess.max(axis=1, initial=-np.inf)
        return Boxes(lower, upper, worst, _effects(lower, upper, slopes)), point

    def _met(self, lower: np.ndarray, upper: np.ndarray, slopes: np.ndarray) -> np.ndarray | None:
        """The point deepest in the clause, of the centres and where the linear bounds are least."""
        points = np.concatenate([middles(lower, upper), np.where(slopes > 0.0, lower, upper)])
        outputs = self.compiled.outputs(points).astype(np.float64)
        worst = (outputs @ self.rows.T.astype(np.float64) - self.offsets).max(axis=1)
        best = int(worst.argmin())
        return points[best].reshape(self.compiled.shape) if worst[best] <= 0.0 else None


def middles(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Numbers between ends, none that would be flushed to zero."""
    middle = 0.5 * lower + 0.5 * upper
    middle = np.where(np.abs(middle) < TINY, np.float32(0.0), middle)
    return np.clip(middle, lower, upper)


def _effects(lower: np.ndarray, upper: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """How much linear functions change across boxes by each input; -1 where none can be cut."""
    sizes = np.abs(slopes)
    sizes += SHARE * sizes.max(axis=1, keepdims=True, initial=0.0) + TINY
    middle = middles(lower, upper)
    return np.where((lower < middle) & (middle < upper), sizes * (upper - lower), -1.0)


def _worst(boxes: Boxes) -> tuple[Boxes, Boxes]:
    """As many boxes as are split at once, those that lack most; and the rest."""
    count = BOXES // 2
    if len(boxes.lower) <= count:
        return boxes, boxes.take(np.zeros(0, int))
    order = np.argpartition(boxes.excess, count)
    return boxes.take(order[:count]), boxes.take(order[count:])
