"""The bound methods by name: combinations of the forward and the backward pass."""

from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.interval import Enclosure, enclose
from rt_tf.bounds.result import Bounds, Box
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region


def interval_bounds(graph: Graph, region: Region, spec: Tensor, arithmetic: str = "fast") -> Bounds:
    """Interval bounds; the affine operations after the last activations are composed with spec.

    spec: [batch, spec, classes]. Source: Gowal et al. 2018, eq. 6-8 and the elision of section 3.
    """
    region, enclosure = _enclose(graph, region, arithmetic)
    margins = lower_bound(
        graph, region, spec, enclosure, expand=graph.tail(), arithmetic=arithmetic
    )
    return Bounds(margins, *enclosure)


def crown_ibp_bounds(
    graph: Graph,
    region: Region,
    spec: Tensor,
    arithmetic: str = "fast",
    slope: str = "adaptive",
) -> Bounds:
    """Backward linear bounds over interval pre-activation bounds (Zhang et al. 2019)."""
    region, enclosure = _enclose(graph, region, arithmetic)
    margins = lower_bound(graph, region, spec, enclosure, slope=slope, arithmetic=arithmetic)
    return Bounds(margins, *enclosure)


def _enclose(graph: Graph, region: Region, arithmetic: str) -> tuple[Region, Enclosure]:
    """The region (widened for sound arithmetic) and the interval bounds of every node."""
    region = region.outward() if arithmetic == "sound" else region
    return region, enclose(graph, Box(*region.box()), arithmetic)
