"""The number of multiply-adds that bound methods need: the floor under their time."""

import math

from rt_tf.bounds.intermediate import is_exact
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.receptive_fields import Shapes, extents
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Affine
from rt_tf.threats.region import Region


def forward(graph: Graph, shapes: Shapes) -> float:
    """Of one example's logits."""
    return sum(
        math.prod(shapes[i]) * node.op.terms
        for i, node in graph.numbered()
        if isinstance(node.op, Affine)
    )


def backward_row(graph: Graph, shapes: Shapes, start: int) -> float:
    """Of one unit's linear bound, from a node back to the input, in its receptive field."""
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
    """Of one example's margins from given intermediate bounds."""
    return rows * backward_row(graph, shapes, graph.output)


def layers(graph: Graph, region: Region, asked: Enclosure, passes: int) -> float:
    """Of backward bounds of one example's unstable units. asked: the bounds that decide which."""
    shapes = asked.shapes
    return sum(
        passes * unstable_share(asked, i) * math.prod(shapes[i]) * backward_row(graph, shapes, i)
        for i in graph.preactivations()
        if not is_exact(graph, region, i)
    )


def projections(graph: Graph, shapes: Shapes, vectors: int) -> float:
    """Of random projections of every layer: those of a layer pass through all layers above it."""
    total, blocks = 0.0, 1
    for i, node in graph.numbered():
        if isinstance(node.op, Affine):
            total += blocks * vectors * math.prod(shapes[i]) * node.op.terms
        blocks += i in graph.activations()
    return total
