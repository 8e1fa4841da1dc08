"""Linear functions of the input that lie below a network's margins on a region.

With parallel lines around the activations they are the lower faces of symbolic intervals (Wang et
al. 2018, symbolic linear relaxation), and one slope holds for the whole region.
"""

from typing import NamedTuple

from rt_tf.bounds.backward import Walk
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.relaxation import relax
from rt_tf.bounds.views import Whole
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region


class Planes(NamedTuple):
    """coefficients: of the input, [batch, spec, ...]. margins: the least values, [batch, spec]."""

    coefficients: Tensor
    margins: Tensor


def lower_planes(graph: Graph, region: Region, spec: Tensor, enclosure: Enclosure) -> Planes:
    """Linear functions below `spec . f(x)` on the region, by parallel lines.

    spec: [batch, spec, classes]. enclosure: bounds of every node's value.
    """
    view = Whole(enclosure.shapes)
    nodes = list(reversed(list(graph.numbered())))
    lines = relax(graph.output, nodes, region, enclosure, view, "parallel", {}, "fast")
    walk = Walk(lines, view).run(graph.output, spec)
    return Planes(walk.coefficients[0], walk.minimum())
