"""Linear bounds from a node back to the input.

At every moment `sum of coefficients . value` at the nodes not yet walked through, plus a constant,
less a slack for rounding, bounds the rows from below, for all values the served network can take on
the region.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from rt_tf.checker import rounding
from rt_tf.checker.enclosure import Enclosure
from rt_tf.checker.lines import Lines
from rt_tf.checker.maps import Map
from rt_tf.checker.network import Network, Node
from rt_tf.checker.operations import Relu
from rt_tf.checker.region import Region, box_minimum

NUMBERS = 2**20  # coefficients of a pass at once


@dataclasses.dataclass(frozen=True)
class Passes:
    """The parts of backward passes that all rows share. lines: by activation.

    through: the nodes to walk through (default: all); the others are replaced by their ends.
    prices: by pre-activation node [rows, units], the addition to its coefficients: minus
    multiplier times sign, of units that are known to have that sign.
    """

    network: Network
    region: Region
    enclosure: Enclosure
    lines: Mapping[int, Lines]
    through: frozenset[int] | None = None
    splits: Mapping[int, np.ndarray] = dataclasses.field(default_factory=dict)

    def minimum(self, start: int, coefficients: np.ndarray) -> np.ndarray:
        """Lower bounds of `coefficients . value` of a node: [rows, units] -> [rows]."""
        return _Walk(self, start, coefficients, both=False).run()

    def ends(self, start: int, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of `coefficients . value`: [rows, units] -> [rows] each."""
        below, above = np.split(_Walk(self, start, coefficients, both=True).run(), 2)
        return below, -above

    def walked(self, start: int) -> list[tuple[int, Node]]:
        """The nodes from `start` down, from the last."""
        nodes = list(self.network.numbered())[:start]
        return [
            (i, node) for i, node in reversed(nodes) if self.through is None or i in self.through
        ]

    def least(self, i: int, coefficients: np.ndarray) -> np.ndarray:
        """Lower bounds of `coefficients . value` of a node by its ends: [rows, units] -> [rows]."""
        if i == 0:
            return self.region.minimum(coefficients)
        return box_minimum(coefficients, self.enclosure.lower[i], self.enclosure.upper[i])


class _Walk:
    """One pass: coefficients by node [rows, units], and by row the constant and the slack.

    both: from the first activations on, the rows are followed by their negatives.
    """

    def __init__(self, passes: Passes, start: int, coefficients: np.ndarray, both: bool) -> None:
        self.passes = passes
        self.start = start
        self.both = both
        self.coefficients = {start: coefficients}
        self.constant = np.zeros(len(coefficients))
        self.slack = np.zeros(len(coefficients))

    def run(self) -> np.ndarray:
        for i, node in self.passes.walked(self.start):
            if i in self.coefficients:
                self._expand(i, node)
        self._fork()
        for i, coefficients in self.coefficients.items():
            self._count(self.passes.least(i, coefficients))
        bound = self.constant - self.slack * rounding.SPARE - rounding.TINY
        return np.nextafter(bound, -np.inf)

    def _expand(self, i: int, node: Node) -> None:
        """Replaces a node by its operation on its inputs."""
        if isinstance(node.op, Relu):
            self._fork()
            self._relu(i, node.inputs[0], self._pop(i))
        else:
            self._linear(i, node, node.op, self._pop(i))

    def _pop(self, i: int) -> np.ndarray:
        if i in self.passes.splits:
            self._add(i, self.passes.splits[i])
        return self.coefficients.pop(i)

    def _fork(self) -> None:
        if not self.both:
            return
        self.both = False
        self.coefficients = {i: np.concatenate([c, -c]) for i, c in self.coefficients.items()}
        self.constant = np.concatenate([self.constant, -self.constant])
        self.slack = np.concatenate([self.slack, self.slack])

    def _linear(self, i: int, node: Node, op: Map, coefficients: np.ndarray) -> None:
        enclosure, biases = self.passes.enclosure, self.passes.network.biases
        if i in enclosure.prices:
            self.slack += np.abs(coefficients) @ enclosure.prices[i]
        if i in biases:
            self._count(coefficients @ biases[i])
        parts = op.transpose(coefficients.reshape(-1, *op.shape))
        for source, part in zip(node.inputs, parts, strict=True):
            self._add(source, part.reshape(len(coefficients), -1))

    def _relu(self, i: int, source: int, coefficients: np.ndarray) -> None:
        """Takes the lower line for positive coefficients, the upper line for negative ones."""
        lines, prices = self.passes.lines[i], self.passes.enclosure.prices[i]
        positive = np.maximum(coefficients, 0.0)
        negative = coefficients - positive
        self.slack += (positive - negative) @ prices
        offsets = _inner(negative, lines.offset)
        self.slack -= rounding.own(coefficients.shape[1]) * offsets
        self._count(offsets)
        positive *= lines.lower
        negative *= lines.upper
        positive += negative
        self._add(source, positive)

    def _count(self, values: np.ndarray) -> None:
        """Adds to the constant."""
        self.constant = self.constant + values
        self.slack += 2.0 * rounding.OWN_UNIT * np.abs(self.constant)

    def _add(self, i: int, coefficients: np.ndarray) -> None:
        """Adds to a node's coefficients."""
        before = self.coefficients.get(i)
        if before is None:
            self.coefficients[i] = coefficients
            return
        sizes = np.abs(before) + np.abs(coefficients)
        self.slack += 2.0 * rounding.OWN_UNIT * (sizes @ self.passes.enclosure.size(i))
        self.coefficients[i] = before + coefficients


def _inner(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """<rows, values> of each row; values: [1 or rows, units]."""
    return rows @ values[0] if len(values) == 1 else np.einsum("ru,ru->r", rows, values)


def chunks(rows: int, network: Network, both: bool = False) -> list[slice]:
    """Slices of rows whose passes keep to a budget of numbers."""
    largest = max(network.room(i) for i in range(len(network.nodes) + 1))
    step = max(1, NUMBERS // (2 * largest if both else largest))
    return [slice(first, first + step) for first in range(0, rows, step)]
