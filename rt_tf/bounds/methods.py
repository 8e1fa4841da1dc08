"""The bound methods by name: combinations of forward and backward passes.

Each takes a graph, a region of its input, rows spec [batch, spec, classes] (of the margins of many
classes, `MarginRows`) and an arithmetic, sound or fast; its Bounds hold lower bounds of `spec .
f(x)` over the region, [batch, spec], and the boxes of all nodes behind them.
"""

import tensorflow as tf

from rt_tf.bounds import zonotope
from rt_tf.bounds.backward import lower_bound, refuse_undefined
from rt_tf.bounds.by_part import by_part
from rt_tf.bounds.estimates.probable import Confidence, probable_enclosure
from rt_tf.bounds.estimates.projection import Projections, projected_enclosure
from rt_tf.bounds.fusion import fused_loss
from rt_tf.bounds.intermediate import MEMORY, Settings, full_enclosure, head_enclosure
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.margin_rows import MarginRows, Rows, matrix
from rt_tf.bounds.result import Bounds, Box
from rt_tf.bounds.slopes import optimised_bound
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

STEPS = 20
PROJECTIONS = 50
DELTA = 0.01
NO_SEED = (0, 0)


@by_part
def interval_bounds(graph: Graph, region: Region, spec: Rows, arithmetic: str = "fast") -> Bounds:
    """Interval bounds; the affine operations after the last activations are composed with spec.

    Not with the margins of many classes, which are differences of the logits' bounds: composed,
    they need memory and time in proportion to the classes times the last layer's inputs.

    Source: Gowal et al. 2018, eq. 6-8 and the elision of section 3.
    """
    region = _rounded(region, arithmetic)
    enclosure = head_enclosure(graph, region, arithmetic)
    if isinstance(spec, MarginRows):
        sound = arithmetic == "sound"
        margins = spec.between(enclosure.boxes[graph.output], sound).lower
        margins = refuse_undefined(margins, enclosure.boxes) if sound else margins
        return Bounds(margins, *enclosure)
    margins = lower_bound(
        graph, region, spec, enclosure, expand=graph.tail(), arithmetic=arithmetic
    )
    return Bounds(margins, *enclosure)


@by_part
def crown_ibp_bounds(
    graph: Graph, region: Region, spec: Rows, arithmetic: str = "fast", slope: str = "adaptive"
) -> Bounds:
    """Backward linear bounds over interval pre-activation bounds (Zhang et al. 2019)."""
    region = _rounded(region, arithmetic)
    enclosure = head_enclosure(graph, region, arithmetic)
    return _margins(graph, region, spec, enclosure, Settings(slope, arithmetic))


@by_part
def fast_lin_ibp_bounds(
    graph: Graph, region: Region, spec: Rows, arithmetic: str = "fast"
) -> Bounds:
    """Backward bounds with parallel lines over interval bounds (Fast-Lin, Weng et al. 2018)."""
    return crown_ibp_bounds(graph, region, spec, arithmetic, "parallel")


@by_part
def crown_bounds(
    graph: Graph,
    region: Region,
    spec: Rows,
    arithmetic: str = "fast",
    slope: str = "adaptive",
    memory: float = MEMORY,
    recompute: bool = False,
) -> Bounds:
    """Backward linear bounds of every layer (Zhang et al. 2018).

    memory: MiB for coefficients. recompute: whether gradients compute layers' bounds again.
    """
    settings = Settings(slope, arithmetic, memory, recompute=recompute)
    region = _rounded(region, arithmetic)
    return _margins(graph, region, spec, full_enclosure(graph, region, settings), settings)


@by_part
def dual_bounds(
    graph: Graph,
    region: Region,
    spec: Rows,
    arithmetic: str = "fast",
    memory: float = MEMORY,
    cut: bool | None = True,
    recompute: bool = False,
) -> Bounds:
    """Backward bounds of every layer with parallel lines: the dual network of Wong & Kolter.

    memory: MiB for coefficients. cut: whether layers' bounds are cut by intervals; False gives
    the authors' own bound, which is not. A parallel line is not monotone in the box that it is
    drawn over, so that neither is always the tighter one; None takes for each example the bound
    whose least margin is the larger. recompute: whether gradients compute layers' bounds again.

    Source: Wong 2020 (thesis), algorithm 1; Wong & Kolter 2018.
    """
    if cut is None:
        first, second = (
            dual_bounds(graph, region, spec, arithmetic, memory, each, recompute)
            for each in (True, False)
        )
        return _better(first, second)
    settings = Settings("parallel", arithmetic, memory, cut, recompute)
    region = _rounded(region, arithmetic)
    return _margins(graph, region, spec, full_enclosure(graph, region, settings), settings)


def _better(cut: Bounds, uncut: Bounds) -> Bounds:
    """For each example the margins whose least one is the larger; the boxes are those of `cut`."""
    least = [tf.reduce_min(bounds.margins, axis=1) for bounds in (cut, uncut)]
    is_better = least[1] > least[0]
    margins = tf.where(is_better[:, tf.newaxis], uncut.margins, cut.margins)
    return cut._replace(margins=margins, uncut=is_better)


@by_part
def alpha_crown_bounds(
    graph: Graph,
    region: Region,
    spec: Rows,
    arithmetic: str = "fast",
    steps: int = STEPS,
    memory: float = MEMORY,
    shared: bool = False,
) -> Bounds:
    """CROWN's intermediate bounds, and optimised slopes in the last pass (Xu et al. 2021).

    steps: of gradient ascent. memory: MiB for coefficients. shared: both lines around an
    activation have one slope.
    """
    settings = Settings("parallel" if shared else "adaptive", arithmetic, memory)
    region = _rounded(region, arithmetic)
    enclosure = full_enclosure(graph, region, settings)
    optimum = optimised_bound(
        graph, region, matrix(spec), enclosure, steps=steps, shared=shared, arithmetic=arithmetic
    )
    optimised = Bounds(optimum.margins, *enclosure, slopes=optimum.slopes)
    if graph.curved is None:
        return optimised
    by_rule = _margins(graph, region, spec, enclosure, settings)  # better for some curved functions
    return optimised._replace(margins=tf.maximum(optimum.margins, by_rule.margins), slopes=None)


@by_part
def shared_slope_bounds(
    graph: Graph,
    region: Region,
    spec: Rows,
    arithmetic: str = "fast",
    steps: int = STEPS,
    memory: float = MEMORY,
) -> Bounds:
    """Dual intermediate bounds, and optimised slopes that both lines share (COLT's lambda)."""
    return alpha_crown_bounds(graph, region, spec, arithmetic, steps, memory, shared=True)


@by_part
def zonotope_bounds(graph: Graph, region: Region, spec: Rows, arithmetic: str = "fast") -> Bounds:
    """Zonotopes pushed forward (DeepZ, Singh et al. 2018): `dual_bounds` by another way."""
    region = _rounded(region, arithmetic)
    start = zonotope.zonotope_of_region(region, arithmetic == "sound")
    logits, enclosure = zonotope.enclose(graph, start, Box(*region.box()), arithmetic)
    margins = logits.margins(matrix(spec))
    if arithmetic == "sound":
        margins = refuse_undefined(margins, enclosure.boxes)
    return Bounds(margins, *enclosure)


@by_part
def cauchy_bounds(
    graph: Graph,
    region: Region,
    spec: Rows,
    arithmetic: str = "fast",
    projections: int = PROJECTIONS,
    seed: Tensor = NO_SEED,
) -> Bounds:
    """Dual bounds over layers estimated from random projections: no certificate.

    projections: number of random vectors. seed: [2] integers. UserError in sound arithmetic,
    and for a threat without projections. Source: Wong 2020 (thesis), algorithm 3.
    """
    if arithmetic != "fast":
        raise UserError("cauchy: expected fast arithmetic; estimates are no certificates")
    enclosure = projected_enclosure(graph, region, Projections(projections, seed))
    return _margins(graph, region, spec, enclosure, Settings("parallel"))


@by_part
def probable_bounds(
    graph: Graph,
    region: Region,
    spec: Rows,
    arithmetic: str = "fast",
    delta: float = DELTA,
    projections: int = 200,
    seed: Tensor = NO_SEED,
) -> Bounds:
    """Dual bounds that hold, for each example, with probability 1 - delta.

    projections: number of random vectors of each of ten estimates. seed: [2] integers.
    UserError when there are too few vectors for delta. Source: Wong 2020 (thesis), section
    3.4.6.
    """
    region = _rounded(region, arithmetic)
    confidence = Confidence(delta, projections)
    enclosure = probable_enclosure(graph, region, confidence, seed, arithmetic)
    return _margins(graph, region, spec, enclosure, Settings("parallel", arithmetic))


@by_part
def fused_bounds(graph: Graph, region: Region, spec: Rows, arithmetic: str = "fast") -> Bounds:
    """CROWN-IBP of the loss itself (Xu et al. 2020, LiRPA); the margins are interval ones.

    In sound arithmetic there is no bound of the loss, only the margins.
    """
    if arithmetic == "sound":
        return interval_bounds(graph, region, spec, arithmetic)
    enclosure = head_enclosure(graph, region)
    ends = _ends(graph, region, spec, enclosure)
    loss = fused_loss(graph, region, spec, enclosure, *ends)
    return Bounds(ends.lower, *enclosure, loss=loss)


def _ends(graph: Graph, region: Region, spec: Rows, enclosure: Enclosure) -> Box:
    """Interval bounds of the rows from below and above."""
    if isinstance(spec, MarginRows):
        return spec.between(enclosure.boxes[graph.output])
    both = tf.concat([spec, -spec], axis=1)
    ends = lower_bound(graph, region, both, enclosure, expand=graph.tail())
    least, negated = tf.split(ends, 2, axis=1)
    return Box(least, -negated)


def _margins(
    graph: Graph, region: Region, spec: Rows, enclosure: Enclosure, settings: Settings
) -> Bounds:
    """Margins by one last pass over an enclosure."""
    slope, arithmetic = settings.slope, settings.arithmetic
    rows = matrix(spec)
    margins = lower_bound(graph, region, rows, enclosure, slope=slope, arithmetic=arithmetic)
    return Bounds(margins, *enclosure)


def _rounded(region: Region, arithmetic: str) -> Region:
    """The region, widened by rounding where the arithmetic is sound."""
    return region.outward() if arithmetic == "sound" else region
