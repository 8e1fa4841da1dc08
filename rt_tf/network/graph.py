"""A network as a graph of operations, which every bound method walks."""

import dataclasses
from collections.abc import Iterator, Set
from typing import NamedTuple

from rt_tf.network.ops import Activation, Bent, Limits, Op, Positive, Product, Tensor
from rt_tf.network.steps import Hull


class Node(NamedTuple):
    """One operation, the nodes it reads (0 is the network's input), and its name for messages.

    hull, limits: what a node's box may be cut with; see `steps.Step`.
    """

    op: Op
    inputs: tuple[int, ...]
    name: str
    hull: Hull | None = None
    limits: Limits | None = None


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

    def bent(self) -> list[int]:
        """Numbers of the nodes that are not linear: activations and products."""
        return [i for i, node in self.numbered() if isinstance(node.op, Bent)]

    @property
    def curved(self) -> str | None:
        """The name of the first layer that bends away from 0, or multiplies values, or None."""
        for i in self.bent():
            op = self.nodes[i - 1].op
            if isinstance(op, Product) or (isinstance(op, Activation) and not op.rectifies):
                return self.nodes[i - 1].name
        return None

    def preactivations(self) -> set[int]:
        """Numbers of the nodes that activations and products read."""
        return {k for i in self.bent() for k in self.nodes[i - 1].inputs} - {0}

    def origin(self, i: int) -> int:
        """The number of the node whose values node i copies; of itself where it computes."""
        op = self.nodes[i - 1].op if i else None
        if not isinstance(op, Positive) or not op.copies:
            return i
        (source,) = self.nodes[i - 1].inputs
        return self.origin(source)

    def curved_reads(self) -> set[int]:
        """Numbers of the nodes that are read where a node bends away from 0, or multiplies.

        Those that copy others are left out for these; and so are activations, whose intervals are
        as good as those of what they read.
        """
        reads = {self.origin(k) for k in self.preactivations() - self.rectified()} - {0}
        return reads - set(self.activations())

    def rectified(self) -> set[int]:
        """Numbers of the nodes that only activations read which bend at 0 alone, if any do."""
        read = self.preactivations()
        for i in self.bent():
            op = self.nodes[i - 1].op
            if not (isinstance(op, Activation) and op.rectifies):
                read -= set(self.nodes[i - 1].inputs)
        return read

    def gates(self) -> set[int]:
        """The numbers of the nodes that copy values for products, and that nothing else reads."""
        products, others = set[int](), {self.output}
        for node in self.nodes:
            (products if isinstance(node.op, Product) else others).update(node.inputs)
        return {i for i in products - others if self.origin(i) != i}

    def ancestors(self, i: int, closed: Set[int] = frozenset()) -> set[int]:
        """The numbers of node i and of all that it depends on, without the input.

        closed: nodes that are left out, with all that only they depend on.
        """
        numbers = {i}
        for k, node in reversed(list(self.numbered())):
            if k in numbers - closed:
                numbers.update(node.inputs)
        return numbers - closed - {0}

    def head(self) -> set[int]:
        """The numbers of the nodes that depend on no activation or product: affine in the input."""
        numbers = {0}
        for i, node in self.numbered():
            if not isinstance(node.op, Bent) and numbers.issuperset(node.inputs):
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
                nodes.append(node._replace(inputs=inputs, hull=None, limits=None))
                number[k] = len(nodes)
            elif any(above) and k in needed:
                raise ValueError(f"node {i} ({self.nodes[i - 1].name}) does not cut the network")
        return Graph(tuple(nodes), number[self.output])

    def tail(self) -> set[int]:
        """The numbers of the linear nodes that no activation or product depends on.

        They form the affine map from the last activations (or the input) to the logits.
        """
        feeds_bent: set[int] = set()
        for i, node in reversed(list(self.numbered())):
            if isinstance(node.op, Bent) or i in feeds_bent:
                feeds_bent.update(node.inputs)
        return {
            i
            for i, node in self.numbered()
            if i not in feeds_bent and not isinstance(node.op, Bent)
        }
