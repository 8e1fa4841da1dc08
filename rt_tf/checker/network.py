"""The file network.npz: the network that proofs are about."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rt_tf.checker import archive
from rt_tf.checker.building import operation
from rt_tf.checker.malformed import choice, field, only, require
from rt_tf.checker.maps import Map, Shape
from rt_tf.checker.node import Reader, refuse_large
from rt_tf.checker.operations import Operation, Relu
from rt_tf.checker.windows import flat

SCHEMA = "rt_tf.network/1"


class Node(NamedTuple):
    """One operation, and the nodes it reads; 0 is the input."""

    op: Operation
    inputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Network:
    """Operations in topological order. Node `i + 1` is `nodes[i]`; node 0 is the input."""

    input_shape: Shape
    nodes: tuple[Node, ...]
    output: int
    sha256: str

    @property
    def classes(self) -> int:
        """The number of logits."""
        return self.size(self.output)

    def shape(self, i: int) -> Shape:
        """The shape of a node's value."""
        return self.nodes[i - 1].op.shape if i else self.input_shape

    def size(self, i: int) -> int:
        """The number of values of a node."""
        return flat(self.shape(i))

    def room(self, i: int) -> int:
        """The number of values that a pass holds of a node for a row, with its inputs' padding."""
        op = self.nodes[i - 1].op if i else None
        return op.room if isinstance(op, Map) else self.size(i)

    def numbered(self) -> Iterator[tuple[int, Node]]:
        """The pairs (number, node) in topological order."""
        return enumerate(self.nodes, start=1)

    def relus(self) -> dict[int, int]:
        """Numbers of the activations, and of the nodes that they read."""
        return {i: node.inputs[0] for i, node in self.numbered() if isinstance(node.op, Relu)}

    def slope(self, i: int) -> float:
        """The slope below 0 of an activation's node."""
        op = self.nodes[i - 1].op
        assert isinstance(op, Relu)
        return op.slope

    @functools.cached_property
    def biases(self) -> dict[int, np.ndarray]:
        """The biases of nodes that have one, at every unit of their nodes: [units] by node."""
        return {
            i: np.broadcast_to(node.op.bias, node.op.shape).ravel()
            for i, node in self.numbered()
            if not isinstance(node.op, Relu) and isinstance(node.op.bias, np.ndarray)
        }

    def head(self) -> set[int]:
        """The numbers of the nodes that depend on no activation."""
        found = {0}
        for i, node in self.numbered():
            if not isinstance(node.op, Relu) and found.issuperset(node.inputs):
                found.add(i)
        return found - {0}

    def tail(self) -> set[int]:
        """The numbers of the nodes that are no activations and that no activation depends on."""
        feeds: set[int] = set()
        for i, node in reversed(list(self.numbered())):
            if isinstance(node.op, Relu) or i in feeds:
                feeds.update(node.inputs)
        return {
            i for i, node in self.numbered() if i not in feeds and not isinstance(node.op, Relu)
        }


def load(path: Path) -> Network:
    """Reads a network; MalformedError if it is not one."""
    return from_arrays(archive.read(path), str(path))


def from_arrays(arrays: archive.Arrays, where: str = "network") -> Network:
    """The network that arrays stand for, under the names of network.npz."""
    words = archive.text(arrays, "graph", where)
    graph = archive.parse(words, where)
    only(graph, ("schema", "input_shape", "output", "nodes"), where)
    choice(graph, "schema", [SCHEMA], where)
    weights = {name: values for name, values in arrays.items() if name != "graph"}
    shape = _shape(field(graph, "input_shape", list, where), where)
    refuse_large(flat(shape), where)
    reader = Reader(weights, where)
    nodes = _nodes(field(graph, "nodes", list, where), shape, reader)
    unread = sorted(set(weights) - reader.read)
    require(not unread, where, "no arrays but those of its nodes", unread)
    output = field(graph, "output", int, where)
    require(0 < output <= len(nodes), where, "'output' to be one of its nodes", output)
    logits = nodes[output - 1].op.shape
    require(len(logits) == 1 and logits[0] > 1, where, "logits of two classes or more", logits)
    return Network(shape, nodes, output, archive.checksum(words, weights))


def _nodes(records: list[Any], shape: Shape, reader: Reader) -> tuple[Node, ...]:
    shapes, nodes = [shape], []
    for i, record in enumerate(records, start=1):
        where = f"{reader.where}: node {i}"
        inputs = field(record, "inputs", list, where)
        known = all(type(k) is int and 0 <= k < i for k in inputs) and bool(inputs)
        require(known, where, "'inputs' to be nodes before it", inputs)
        op = operation(record, i, [shapes[k] for k in inputs], reader)
        nodes.append(Node(op, tuple(inputs)))
        shapes.append(op.shape)
        refuse_large(sum(map(flat, shapes)), where)
    return tuple(nodes)


def _shape(sizes: list[Any], where: str) -> Shape:
    good = bool(sizes) and all(type(size) is int and size > 0 for size in sizes)
    require(good, where, "'input_shape' to be positive sizes", sizes)
    return tuple(sizes)
