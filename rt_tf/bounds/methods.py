"""The bound methods by name: combinations of forward and backward passes."""

from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.full import MEMORY, Settings, full_enclosure, head_enclosure
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.result import Bounds
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region


def interval_bounds(graph: Graph, region: Region, spec: Tensor, arithmetic: str = "fast") -> Bounds:
    """Interval bounds; the affine operations after the last activations are composed with spec.

    spec: [batch, spec, classes]. Source: Gowal et al. 2018, eq. 6-8 and the elision of section 3.
    """
    region = _rounded(region, arithmetic)
    enclosure = head_enclosure(graph, region, arithmetic)
    margins = lower_bound(
        graph, region, spec, enclosure, expand=graph.tail(), arithmetic=arithmetic
    )
    return Bounds(margins, *enclosure)


def crown_ibp_bounds(
    graph: Graph, region: Region, spec: Tensor, arithmetic: str = "fast", slope: str = "adaptive"
) -> Bounds:
    """Backward linear bounds over interval pre-activation bounds (Zhang et al. 2019)."""
    region = _rounded(region, arithmetic)
    enclosure = head_enclosure(graph, region, arithmetic)
    return _margins(graph, region, spec, enclosure, Settings(slope, arithmetic))


def fast_lin_ibp_bounds(
    graph: Graph, region: Region, spec: Tensor, arithmetic: str = "fast"
) -> Bounds:
    """The same with parallel lines (Fast-Lin, Weng et al. 2018)."""
    return crown_ibp_bounds(graph, region, spec, arithmetic, "parallel")


def crown_bounds(
    graph: Graph,
    region: Region,
    spec: Tensor,
    arithmetic: str = "fast",
    slope: str = "adaptive",
    memory: float = MEMORY,
) -> Bounds:
    """Backward linear bounds of every layer (Zhang et al. 2018). memory: MiB for coefficients."""
    settings = Settings(slope, arithmetic, memory)
    region = _rounded(region, arithmetic)
    return _margins(graph, region, spec, full_enclosure(graph, region, settings), settings)


def dual_bounds(
    graph: Graph,
    region: Region,
    spec: Tensor,
    arithmetic: str = "fast",
    memory: float = MEMORY,
) -> Bounds:
    """Wong & Kolter's dual network, exact: the same with parallel lines (P2 algorithm 1)."""
    return crown_bounds(graph, region, spec, arithmetic, "parallel", memory)


def _margins(
    graph: Graph, region: Region, spec: Tensor, enclosure: Enclosure, settings: Settings
) -> Bounds:
    margins = lower_bound(
        graph,
        region,
        spec,
        enclosure,
        slope=settings.slope,
        arithmetic=settings.arithmetic,
    )
    return Bounds(margins, *enclosure)


def _rounded(region: Region, arithmetic: str) -> Region:
    """The region, widened for sound arithmetic."""
    return region.outward() if arithmetic == "sound" else region
