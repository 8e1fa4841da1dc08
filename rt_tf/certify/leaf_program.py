"""Leaves whose units all have signs: there the network is linear, and a linear program says all.

Its dual solution is the best multipliers, which prove a leaf in sound arithmetic if anything does;
its primal solution is where the network is least. The program itself is not trusted.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.optimize import linprog

from rt_tf.certify.bounder import Bounder, Root
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation, Tensor
from rt_tf.threats.region import Region

CHUNK = 64  # inputs that are raised at once
PRICE = 1e4  # of a unit on the wrong side: more than any multiplier that is of use


class Vertex(NamedTuple):
    """Where a leaf is least: the input [...], and what its signs cost there, [units]."""

    point: np.ndarray
    multipliers: np.ndarray


class Linear(NamedTuple):
    """Values over the box, inputs scaled to [-1, 1]: constants [...], slopes [..., inputs]."""

    constants: np.ndarray
    slopes: np.ndarray


class LeafProgram:
    """Linear programs of the leaves of one root, whose region is a box."""

    def __init__(self, bounder: Bounder, root: Root) -> None:
        self.graph: Graph = bounder.network()
        self.region: Region = bounder.region(*root.given).inward()
        self.places = bounder.places(root)
        lower, upper = self.region.box()
        self.centre, self.radii = 0.5 * (lower + upper), 0.5 * (upper - lower)
        boxes = root.enclosure.boxes
        self.active = {i: boxes[i].centre.numpy()[0] >= 0.0 for i in (0, *bounder.nodes)}

    def least(self, row: np.ndarray, signs: np.ndarray) -> Vertex:
        """Solves the program of a leaf. row: [outputs], whose value it is; signs: [units], 1 or -1.

        Without a solution, the centre and multipliers of 0.
        """
        goal, units = self._linear(row, self._sides(signs))
        left = np.c_[-signs[:, np.newaxis] * units.slopes, -np.ones(len(signs))]
        inputs = goal.slopes.shape[-1]
        ends = [(-1.0, 1.0)] * inputs + [(0.0, None)]
        found = linprog([*goal.slopes, PRICE], left, signs * units.constants, bounds=ends)
        if found.status != 0:
            return Vertex(self._shaped(np.zeros(inputs)), np.zeros(len(signs)))
        return Vertex(self._shaped(found.x[:-1]), np.maximum(-found.ineqlin.marginals, 0.0))

    def _sides(self, signs: np.ndarray) -> dict[int, np.ndarray]:
        """Of every pre-activation node, which units are active in a leaf."""
        sides = {i: active.copy() for i, active in self.active.items()}
        for (node, own), sign in zip(self.places, signs, strict=True):
            sides[node].reshape(-1)[own] = sign > 0
        return sides

    def _linear(self, row: np.ndarray, sides: dict[int, np.ndarray]) -> tuple[Linear, Linear]:
        """The row's value and those of the units, of the linear network that sides make.

        Evaluated at the centre, then with one input after another raised to its upper end.
        """
        moves = tf.reshape(self.radii, [-1])
        asked = [self._asked(row, sides, self.centre)]
        for begin in range(0, len(moves), CHUNK):
            chosen = tf.one_hot(range(begin, min(begin + CHUNK, len(moves))), len(moves)) * moves
            raised = self.centre + tf.reshape(chosen, [-1, *self.centre.shape[1:]])
            asked.append(self._asked(row, sides, raised))
        values = np.concatenate(asked, axis=1).astype(np.float64)
        linear = Linear(values[:, 0], values[:, 1:] - values[:, :1])
        return Linear(linear.constants[0], linear.slopes[0]), Linear(*(v[1:] for v in linear))

    def _asked(self, row: np.ndarray, sides: dict[int, np.ndarray], x: Tensor) -> np.ndarray:
        """The row's value, then the units', for inputs x: [1 + units, inputs]."""
        values = [x]
        for node in self.graph.nodes:
            inputs = [values[k] for k in node.inputs]
            if isinstance(node.op, Activation):
                values.append(_slopes(node.op, sides[node.inputs[0]]) * inputs[0])
            else:
                values.append(node.op(*inputs))
        flat = {i: v.numpy().reshape(len(v), -1) for i, v in enumerate(values)}
        units = [flat[node][:, own] for node, own in self.places]
        return np.stack([flat[self.graph.output] @ row, *units])

    def _shaped(self, scaled: np.ndarray) -> np.ndarray:
        moves = scaled.astype(np.float32).reshape(self.centre.shape) * self.radii
        return self.region.project(self.centre + moves)[0].numpy()


def _slopes(op: Activation, active: np.ndarray) -> Tensor:
    """Of an activation that is linear on either side of 0, where it is active and where not."""
    one = tf.constant(1.0)
    return tf.where(active, op(one), -op(-one))
