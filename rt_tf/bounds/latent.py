"""Latent regions: the values of a layer for inputs in a region, as the image of a box of symbols.

The points are `a + A e`, e in [-1, 1]: those of the zonotope of the layer. A is never formed: a
point is a pass through the network below with every activation replaced by the middle of its band
and a symbol for its width, and its gradient in e is that pass backward. Source: Balunovic & Vechev
2020 (COLT), section 5 and appendix A.
"""

import dataclasses

import tensorflow as tf

from rt_tf.bounds.intermediate import Settings, full_enclosure
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.relaxation import Enclosing, enclosing
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Bent, Tensor
from rt_tf.threats.region import Region

Symbols = dict[int, Tensor]


@dataclasses.dataclass(frozen=True)
class LatentRegion:
    """The region of one node's values. Symbols are by node: 0 for the input, else an activation's.

    enclosure: bounds of the nodes below. With those of a zonotope or a full backward pass the
    region is COLT's; with intervals it is larger. The input's part is its box.
    """

    graph: Graph
    enclosure: Enclosure
    node: int

    def shapes(self) -> dict[int, tuple[int, ...]]:
        """The shapes of all symbols, without batch."""
        below = self.graph.ancestors(self.node)
        bent = [i for i in self.graph.bent() if i in below]
        return {i: self.enclosure.shapes[i] for i in [0, *bent]}

    def point(self, symbols: Symbols) -> Tensor:
        """The node's value for symbols, each [batch, ...] in [-1, 1]; differentiable in them."""
        box = self.enclosure.boxes[0]
        values = {0: box.centre + box.radius * symbols[0]}
        below = self.graph.ancestors(self.node)
        for i, node in self.graph.numbered():
            if i not in below:
                continue
            inputs = [values[k] for k in node.inputs]
            if isinstance(node.op, Bent):
                boxes = [self.enclosure.boxes[k] for k in node.inputs]
                own = self.enclosure.boxes[i] if node.limits else None
                lines = enclosing(node.op, boxes, "parallel", own)
                values[i] = _banded(lines, inputs, symbols[i])
            else:
                values[i] = node.op(*inputs)
        return values[self.node]

    def above(self, value: Tensor) -> Tensor:
        """The logits [batch, classes] of the network above, which is exact, for node values."""
        return self.graph.split(self.node)(value)


def latent_region(graph: Graph, region: Region, node: int) -> LatentRegion:
    """COLT's region of a node (0: the input's), with the nodes below bounded by backward passes.

    UserError unless the region is a box.
    """
    if not region.threat.is_box:
        raise UserError(
            f"latent region: expected a threat that moves pixels one by one (linf); "
            f"received {region.threat.name}"
        )
    below = graph.ancestors(node)
    read = {k for i in graph.bent() if i in below for k in graph.nodes[i - 1].inputs}
    enclosure = full_enclosure(graph, region, Settings("parallel"), read)
    return LatentRegion(graph, enclosure, node)


def _banded(lines: Enclosing, inputs: list[Tensor], symbol: Tensor) -> Tensor:
    """The value `s z + mu + mu' e` between the parallel lines around an operation."""
    middle, half = lines.band()
    moves = [s * z for (_, s), z in zip(lines.slopes, inputs, strict=True)]
    return tf.add_n(moves) + middle + half * symbol
