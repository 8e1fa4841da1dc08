"""The multiply-adds that bound methods need: the floor under their time."""

import math

from rt_tf.bounds.intermediate import is_exact
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.receptive_fields import Shapes, extents
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Affine
from rt_tf.threats.region import Region


def forward(graph: Graph, shapes: Shapes) -> float:
    """The multiply-adds of one example's logits."""
    return sum(
        math.prod(shapes[i]) * node.op.terms
        for i, node in graph.numbered()
        if isinstance(node.op, Affine)
    )


def backward_row(graph: Graph, shapes: Shapes, start: int) -> float:
    """The multiply-adds of a unit's linear bound, from its node back in its receptive field."""
    below = graph.ancestors(start)
    windows = extents(graph, start, shapes)
    total = 0.0
    for i in below:
        node = graph.nodes[i - 1]
        if isinstance(node.op, Affine):
            whole = math.prod(shapes[i])
            seen = whole if windows is None else math.prod(windows[i].size) * shapes[i][-1]
            total += min(seen, whole) * node.op.terms if i != start else node.op.terms
    return total


def unstable_share(enclosure: Enclosure, i: int) -> float:
    """The share of a node's units whose sign is open."""
    lower, upper = (end.numpy() for end in enclosure.boxes[i])
    return float(((lower < 0.0) & (upper > 0.0)).mean())


def margins(graph: Graph, shapes: Shapes, rows: int) -> float:
    """The multiply-adds of one example's margins, once there are intermediate bounds."""
    return rows * backward_row(graph, shapes, graph.output)


def layers(graph: Graph, region: Region, enclosure: Enclosure, passes: int) -> float:
    """The multiply-adds of backward bounds of one example's unstable units, in all layers.

    enclosure: the bounds that decide which units are unstable. passes: for each unit.
    """
    shapes = enclosure.shapes
    return sum(
        passes
        * unstable_share(enclosure, i)
        * math.prod(shapes[i])
        * backward_row(graph, shapes, i)
        for i in graph.preactivations()
        if not is_exact(graph, region, i)
    )


def projections(graph: Graph, shapes: Shapes, vectors: int) -> float:
    """The multiply-adds of random projections: those of a layer pass through all layers above."""
    total, blocks = 0.0, 1
    for i, node in graph.numbered():
        if isinstance(node.op, Affine):
            total += blocks * vectors * math.prod(shapes[i]) * node.op.terms
        blocks += i in graph.activations()
    return total
