"""A network as a graph of operations, which every bound method walks."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from rt_tf.network.ops import Activation, Op, Positive, Tensor


class Hull(NamedTuple):
    """A nondecreasing map from an earlier node whose exact interval a node may be cut with."""

    op: Positive
    source: int


class Node(NamedTuple):
    """One operation, the nodes it reads (0 is the network's input), and its name for messages."""

    op: Op
    inputs: tuple[int, ...]
    name: str
    hull: Hull | None = None


@dataclasses.dataclass(frozen=True)
class Graph:
    """Operations in topological order.

    Node `i + 1` is `nodes[i]`; node 0 is the input. output: the number of the node of the
    logits.
    """

    nodes: tuple[Node, ...]
    output: int

    def __call__(self, x: Tensor) -> Tensor:
        """The network's logits [batch, classes]. x: [batch, ...]."""
        values = [x]
        for node in self.nodes:
            values.append(node.op(*(values[i] for i in node.inputs)))
        return values[self.output]

    def numbered(self) -> Iterator[tuple[int, Node]]:
        """The pairs (number, node) in topological order."""
        return enumerate(self.nodes, start=1)

    def activations(self) -> list[int]:
        """Numbers of the activation nodes."""
        return [i for i, node in self.numbered() if isinstance(node.op, Activation)]

    @property
    def curved(self) -> str | None:
        """The name of the first layer with an activation that bends away from 0, or None."""
        for node in self.nodes:
            if isinstance(node.op, Activation) and not node.op.rectifies:
                return node.name
        return None

    def preactivations(self) -> set[int]:
        """Numbers of the nodes that activations read."""
        return {self.nodes[i - 1].inputs[0] for i in self.activations()} - {0}

    def ancestors(self, i: int) -> set[int]:
        """The numbers of node i and of all that it depends on, without the input."""
        numbers = {i} - {0}
        for k, node in reversed(list(self.numbered())):
            if k in numbers:
                numbers.update(node.inputs)
        return numbers - {0}

    def head(self) -> set[int]:
        """The numbers of the nodes that depend on no activation: affine in the input."""
        numbers = {0}
        for i, node in self.numbered():
            if not isinstance(node.op, Activation) and numbers.issuperset(node.inputs):
                numbers.add(i)
        return numbers - {0}

    def split(self, i: int) -> "Graph":
        """The network above node i, which becomes its input.

        ValueError where the output depends on the nodes below in another way too.
        """
        number, nodes, needed = {i: 0}, [], self.ancestors(self.output)
        for k, node in self.numbered():
            above = [j in number for j in node.inputs]
            if all(above):
                inputs = tuple(number[j] for j in node.inputs)
                nodes.append(node._replace(inputs=inputs, hull=None))
                number[k] = len(nodes)
            elif any(above) and k in needed:
                raise ValueError(f"node {i} ({self.nodes[i - 1].name}) does not cut the network")
        return Graph(tuple(nodes), number[self.output])

    def tail(self) -> set[int]:
        """The numbers of the nodes that are no activations and that no activation depends on.

        They form the affine map from the last activations (or the input) to the logits.
        """
        feeds_activation: set[int] = set()
        for i, node in reversed(list(self.numbered())):
            if isinstance(node.op, Activation) or i in feeds_activation:
                feeds_activation.update(node.inputs)
        return {
            i
            for i, node in self.numbered()
            if i not in feeds_activation and not isinstance(node.op, Activation)
        }
