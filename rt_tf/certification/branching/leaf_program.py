"""Linear programs of leaves whose units all have signs: the network is linear there.

A program's dual solution is the best multipliers, which prove a leaf in sound arithmetic if
anything does; its primal solution is where the network is least. The solver itself is not trusted.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.optimize import linprog

from rt_tf.certification.branching.bounder import Bounder, Root
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation, Tensor
from rt_tf.threats.region import Region

CHUNK = 64  # values whose slopes are taken at once
PRICE = 1e4  # the cost of a unit on the wrong side: above any multiplier that helps a proof


class Vertex(NamedTuple):
    """The input [...] where a leaf's row is least, and the costs of its signs there, [units]."""

    point: np.ndarray
    multipliers: np.ndarray


class LeafProgram:
    """Linear programs of the leaves of one root, whose region is a box.

    A unit before an activation that reads the input itself is taken on the side of its centre.
    """

    def __init__(self, bounder: Bounder, root: Root) -> None:
        self.graph: Graph = bounder.network()
        self.region: Region = bounder.region(*root.region_inputs).inward()
        self.places = bounder.places(root)
        lower, upper = self.region.box()
        self.centre, self.radii = 0.5 * (lower + upper), 0.5 * (upper - lower)
        boxes = root.enclosure.boxes
        self.active = {i: boxes[i].centre.numpy()[0] >= 0.0 for i in (0, *bounder.nodes)}

    def least(self, row: np.ndarray, signs: np.ndarray, seconds: float) -> Vertex | None:
        """The solution of a leaf's program; None if there is none within these seconds.

        row: [outputs], the row of the specification to minimise; signs: [units], 1 or -1.
        """
        constants, slopes = self._linear(row, self._sides(signs))
        rows = np.c_[-signs[:, np.newaxis] * slopes[1:], -np.ones(len(signs))]
        ends = [(-1.0, 1.0)] * slopes.shape[1] + [(0.0, None)]
        solution = linprog(
            [*slopes[0], PRICE],
            rows,
            signs * constants[1:],
            bounds=ends,
            options={"time_limit": max(seconds, 0.0)},
        )
        if solution.status != 0:
            return None
        return Vertex(self._shaped(solution.x[:-1]), np.maximum(-solution.ineqlin.marginals, 0.0))

    def _sides(self, signs: np.ndarray) -> dict[int, np.ndarray]:
        """Whether each unit is active in a leaf, by pre-activation node. signs: [units]."""
        sides = {i: active.copy() for i, active in self.active.items()}
        for (node, unit), sign in zip(self.places, signs, strict=True):
            sides[node].reshape(-1)[unit] = sign > 0
        return sides

    def _linear(self, row: np.ndarray, sides: dict[int, np.ndarray]) -> tuple[np.ndarray, ...]:
        """The row's value and the units' values, in the linear network that the sides make.

        Constants [1 + units], at the centre, and slopes [1 + units, inputs], of inputs that are
        scaled to [-1, 1].
        """
        constants, slopes = [], []
        for begin in range(0, 1 + len(self.places), CHUNK):
            numbers = tf.range(begin, min(begin + CHUNK, 1 + len(self.places)))
            # A copy of the centre for each value, so that one tape takes the slopes of all.
            x = tf.repeat(self.centre, len(numbers), axis=0)
            with tf.GradientTape() as tape:
                tape.watch(x)
                values = tf.linalg.diag_part(
                    tf.gather(self._values(row, sides, x), numbers, axis=1)
                )
            gradient = tape.gradient(values, x) * self.radii
            constants.append(values.numpy().astype(np.float64))
            slopes.append(gradient.numpy().reshape(len(numbers), -1).astype(np.float64))
        return np.concatenate(constants), np.concatenate(slopes)

    def _values(self, row: np.ndarray, sides: dict[int, np.ndarray], x: Tensor) -> Tensor:
        """The row's value, then the units', of inputs x: [inputs, 1 + units]."""
        values = [x]
        for node in self.graph.nodes:
            inputs = [values[k] for k in node.inputs]
            if isinstance(node.op, Activation):
                values.append(_slopes(node.op, sides[node.inputs[0]]) * inputs[0])
            else:
                values.append(node.op(*inputs))
        count = tf.shape(x)[0]
        parts = [tf.linalg.matvec(values[self.graph.output], row)[:, tf.newaxis]]
        for node in dict.fromkeys(self.places[:, 0].tolist()):  # in the units' order
            units = self.places[self.places[:, 0] == node, 1]
            parts.append(tf.gather(tf.reshape(values[node], [count, -1]), units, axis=1))
        return tf.concat(parts, axis=1)

    def _shaped(self, scaled: np.ndarray) -> np.ndarray:
        moves = scaled.astype(np.float32).reshape(self.centre.shape) * self.radii
        return self.region.project(self.centre + moves)[0].numpy()


def _slopes(op: Activation, active: np.ndarray) -> Tensor:
    """An activation's slopes, where it is linear on either side of 0. active: bool [...]."""
    one = tf.constant(1.0)
    return tf.where(active, op(one), -op(-one))
