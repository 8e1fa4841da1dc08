"""A lowered graph of a ReLU network as sparse float64 matrices between flattened values."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation

CHUNK = 512  # unit vectors at a time


class Linear(NamedTuple):
    """sum_k matrix_k @ value_k + bias, over (number of value k, matrix_k [units, units of k])."""

    parts: tuple[tuple[int, sp.csr_array], ...]
    bias: np.ndarray


class Relu(NamedTuple):
    """max(0, value), elementwise."""

    source: int


Ends = tuple[np.ndarray, np.ndarray]  # lower, upper: each [units]
Tighten = Callable[[int, dict[int, Ends]], Ends]


@dataclasses.dataclass(frozen=True)
class Network:
    """Nodes numbered as in the graph: `nodes[i - 1]` computes value i; value 0 is the input."""

    nodes: tuple[Linear | Relu, ...]
    sizes: tuple[int, ...]
    output: int

    def values(self, x: np.ndarray) -> list[np.ndarray]:
        """Every value at points [points, inputs], each [points, units]."""
        values = [x]
        for node in self.nodes:
            if isinstance(node, Relu):
                values.append(np.maximum(values[node.source], 0.0))
            else:
                values.append(sum((values[k] @ w.T for k, w in node.parts), node.bias))
        return values

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Logits [points, classes]."""
        return self.values(x)[self.output]

    def gradients(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Gradients of rows . logits, rows [points, classes], at points [points, inputs]."""
        values = self.values(x)
        upstream = [np.zeros_like(value) for value in values]
        upstream[self.output] = rows
        for i in range(len(self.nodes), 0, -1):
            node = self.nodes[i - 1]
            if isinstance(node, Relu):
                upstream[node.source] += upstream[i] * (values[node.source] > 0.0)
            else:
                for k, w in node.parts:
                    upstream[k] += upstream[i] @ w
        return upstream[0]

    def intervals(
        self, inputs: Ends, tighten: Tighten = lambda i, ends: ends[i]
    ) -> dict[int, Ends]:
        """Bounds of every value by number. tighten: better ones of value i from all so far."""
        ends = {0: inputs}
        for i in range(1, len(self.sizes)):
            ends[i] = self.interval(i, ends)
            ends[i] = tighten(i, ends)
        return ends

    def interval(self, i: int, ends: Mapping[int, Ends]) -> Ends:
        """Bounds of value i from those of what it reads."""
        node = self.nodes[i - 1]
        if isinstance(node, Relu):
            lower, upper = (np.maximum(end, 0.0) for end in ends[node.source])
            return lower, upper
        centre = sum((w @ (ends[k][0] + ends[k][1]) / 2 for k, w in node.parts), node.bias)
        radius = sum(abs(w) @ (ends[k][1] - ends[k][0]) / 2 for k, w in node.parts)
        return centre - radius, centre + radius

    def lipschitz(self, row: np.ndarray) -> float:
        """|row . f(x) - row . f(x')| <= this * |x - x'|_inf, by the product of |weights|."""
        changes = [np.ones(self.sizes[0])]
        for node in self.nodes:
            if isinstance(node, Relu):
                changes.append(changes[node.source])
            else:
                changes.append(sum(abs(w) @ changes[k] for k, w in node.parts))
        return float(np.abs(row) @ changes[self.output])


def read(graph: Graph, input_shape: tuple[int, ...]) -> Network:
    """Reads a graph whose activations are all ReLUs; ValueError for others."""
    values, nodes = [tf.zeros([1, *input_shape])], []
    for node in graph.nodes:
        inputs = [values[k] for k in node.inputs]
        if isinstance(node.op, Activation):
            _check_relu(node.op)
            nodes.append(Relu(node.inputs[0]))
        else:
            parts = _matrices(node.op.linear, inputs)
            bias = node.op(*map(tf.zeros_like, inputs)).numpy().astype(np.float64).ravel()
            nodes.append(Linear(tuple(zip(node.inputs, parts, strict=True)), bias))
        values.append(node.op(*inputs))
    return Network(tuple(nodes), tuple(math.prod(v.shape) for v in values), graph.output)


def _check_relu(op: Activation) -> None:
    z = tf.constant([-1e3, -2.0, -1.0, -0.1, 0.0, 0.1, 1.0, 2.0, 6.0, 1e3])
    if not np.array_equal(op(z), np.maximum(z, 0.0)):
        raise ValueError("expected ReLU activations only: these oracles know no other")


def _matrices(linear, inputs: list[tf.Tensor]) -> list[sp.csr_array]:
    """The matrix of a linear map in each of its inputs, the others zero."""
    return [_matrix(linear, inputs, place) for place in range(len(inputs))]


def _matrix(linear, inputs: list[tf.Tensor], place: int) -> sp.csr_array:
    units = math.prod(inputs[place].shape)
    columns = []
    for start in range(0, units, CHUNK):
        count = min(CHUNK, units - start)
        arguments = [np.zeros((count, *value.shape[1:]), np.float32) for value in inputs]
        arguments[place].reshape(count, units)[range(count), range(start, start + count)] = 1.0
        images = linear(*map(tf.constant, arguments)).numpy().reshape(count, -1)
        columns.append(sp.csr_array(images.astype(np.float64)))
    return sp.csr_array(sp.vstack(columns).T)
