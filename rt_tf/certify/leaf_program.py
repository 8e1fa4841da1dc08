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

PRICE = 1e4  # of a unit on the wrong side: more than any multiplier that is of use


class Vertex(NamedTuple):
    """Where a leaf is least: the input [...], and what its signs cost there, [units]."""

    point: np.ndarray
    multipliers: np.ndarray


class Linear(NamedTuple):
    """Values over the box, inputs scaled to [-1, 1]: constants [n], slopes [n, inputs]."""

    constants: np.ndarray
    slopes: np.ndarray


class LeafProgram:
    """Linear programs of the leaves of one root, whose region is `between` ends.

    row: [outputs], of which the least value is asked.
    """

    def __init__(self, bounder: Bounder, root: Root, row: np.ndarray) -> None:
        self.graph: Graph = bounder.network()
        self.region: Region = bounder.region(*root.given)
        self.row = row
        self.places = bounder.places(root)
        boxes = root.enclosure.boxes
        self.active = {i: boxes[i].centre.numpy()[0] >= 0.0 for i in (0, *bounder.nodes)}

    def least(self, signs: np.ndarray) -> Vertex:
        """Solves the program of a leaf. signs: [units], 1 or -1.

        Without a solution, the centre and multipliers of 0.
        """
        values = [v.numpy().reshape(v.shape[0], -1).T for v in self._values(self._sides(signs))]
        goal = _linear(self.row @ values[self.graph.output])
        units = _linear(np.stack([values[node][own] for node, own in self.places]))
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

    def _values(self, sides: dict[int, np.ndarray]) -> list[Tensor]:
        """The linear network's values at the centre, then with one input after another raised."""
        x = self.region.x
        raised = tf.linalg.diag(tf.reshape(self._radii(), [-1]))
        raised = tf.reshape(raised, [-1, *x.shape[1:]])
        values = [tf.concat([x, x + raised], axis=0)]
        for node in self.graph.nodes:
            inputs = [values[k] for k in node.inputs]
            if isinstance(node.op, Activation):
                values.append(_slopes(node.op, sides[node.inputs[0]]) * inputs[0])
            else:
                values.append(node.op(*inputs))
        return values

    def _shaped(self, scaled: np.ndarray) -> np.ndarray:
        region = self.region
        moves = scaled.astype(np.float32).reshape(region.x.shape) * self._radii()
        return region.project(region.x + moves)[0].numpy()

    def _radii(self) -> Tensor:
        return 0.5 * (self.region.upper - self.region.lower)


def _slopes(op: Activation, active: np.ndarray) -> Tensor:
    """Of an activation that is linear on either side of 0, where it is active and where not."""
    one = tf.constant(1.0)
    return tf.where(active, op(one), -op(-one))


def _linear(values: np.ndarray) -> Linear:
    """values: [..., 1 + inputs], at the centre and with each input raised to its upper end."""
    values = values.astype(np.float64)
    return Linear(values[..., 0], values[..., 1:] - values[..., :1])
