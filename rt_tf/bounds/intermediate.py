"""Bounds of every layer by the backward pass itself, and not by intervals (Wong & Kolter; CROWN).

Before a ReLU only units that intervals leave unstable are bounded so: the others have nothing to
gain.
"""

import math
from collections.abc import Callable, Mapping, Set
from typing import NamedTuple

import tensorflow as tf

from rt_tf.bounds.backward import Walk
from rt_tf.bounds.interval import Enclosure, enclose
from rt_tf.bounds.layouts import Layout, Whole, Windows
from rt_tf.bounds.receptive_fields import Extent, Shapes, extents
from rt_tf.bounds.recomputation import recomputed
from rt_tf.bounds.relaxation import Relaxation, Slopes, relax
from rt_tf.bounds.result import Box, cut
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Affine, Bent, Op, Positive, Tensor
from rt_tf.threats.region import Region

MEMORY = 64  # MiB; more is no faster, since less of it stays in the processor's cache
ENOUGH = 0.5  # share of unstable units from which on all are bounded, at less cost each
TEMPORARIES = 10  # tensors of a row's coefficients that are alive at once


class Settings(NamedTuple):
    """The way in which layers are bounded. memory: MiB that the coefficients of a pass may take.

    The memory limits the passes forward; training keeps all that its gradients need, unless it
    recomputes them. cut:
    whether layers' bounds are cut by intervals; if not, they are those of the passes alone.
    recompute: whether gradients compute the passes again, chunk by chunk, and keep nothing of them.
    """

    slope: Slopes = "adaptive"
    arithmetic: str = "fast"
    memory: float = MEMORY
    cut: bool = True
    recompute: bool = False


class Ends(NamedTuple):
    """Lower and upper bounds of the rows of a pass: [batch, rows] or [places, rows]."""

    lower: Tensor
    upper: Tensor


def full_enclosure(
    graph: Graph,
    region: Region,
    settings: Settings,
    nodes: Set[int] | None = None,
    boxes: Mapping[int, Box] | None = None,
) -> Enclosure:
    """Encloses every node, those before activations and products by backward passes.

    nodes: the ones to bound so (default: all that these read, or what those copy); the others get
    intervals. boxes: of some of these nodes, which hold already, each end [batch, ...].

    Source: Wong 2020 (thesis), algorithm 1; Zhang et al. 2018 (CROWN).
    """
    curved, rectified = graph.curved_reads(), graph.rectified()
    chosen = rectified | curved if nodes is None else nodes

    def tighten(i: int, enclosure: Enclosure) -> Box:
        box = enclosure.boxes[i]
        if i not in chosen or is_exact(graph, region, i):
            return box
        if boxes is not None and i in boxes:
            enclosure = enclosure._replace(boxes=enclosure.boxes | {i: cut(box, boxes[i])})
        every_unit = i in curved or i not in rectified or not settings.cut
        return backward_box(graph, region, enclosure, i, settings, every_unit)

    return enclose(graph, Box(*region.box()), settings.arithmetic, tighten)


def head_enclosure(graph: Graph, region: Region, arithmetic: str = "fast") -> Enclosure:
    """Interval bounds of every node; affine maps before activations use the region itself."""
    head = graph.head() & (graph.rectified() | graph.curved_reads())

    def tighten(i: int, enclosure: Enclosure) -> Box:
        if i not in head or is_exact(graph, region, i):
            return enclosure.boxes[i]
        settings = Settings(arithmetic=arithmetic)
        return backward_box(graph, region, enclosure, i, settings, every_unit=True)

    return enclose(graph, Box(*region.box()), arithmetic, tighten)


def backward_box(
    graph: Graph,
    region: Region,
    enclosure: Enclosure,
    i: int,
    settings: Settings,
    every_unit: bool = False,
) -> Box:
    """The box of node i, cut by backward bounds of its unstable units.

    enclosure: bounds of all nodes up to i, whose box is to be cut. every_unit: whether stable
    units are bounded as well.
    """
    box = enclosure.boxes[i] if settings.cut else _everything(enclosure.boxes[i])
    units = (
        tf.ones_like(box.lower, tf.bool) if every_unit else (box.lower < 0.0) & (box.upper > 0.0)
    )

    def passes(layout: Layout, closed: Set[int]) -> Relaxation:
        below = sorted(graph.ancestors(i, closed), reverse=True)
        nodes = [(k, graph.nodes[k - 1]) for k in below]
        return relax(i, nodes, region, enclosure, layout, settings.slope, {}, settings.arithmetic)

    fields, closed = _windows(graph, i, enclosure.shapes)
    if fields is None:
        whole = Whole(enclosure.shapes)
        return _cut(box, units, *_bound_whole(units, i, passes(whole, closed), whole, settings))
    windows = Windows(enclosure.shapes, fields, i)
    return _cut(box, units, *_bound_windows(units, i, passes(windows, closed), windows, settings))


def _windows(graph: Graph, i: int, shapes: Shapes) -> tuple[dict[int, Extent] | None, Set[int]]:
    """The windows that node i depends on, if any, and the nodes that their passes take as boxes.

    Gates that the whole image decides leave no windows. Where nothing else is in their way, the
    gates count as boxes, which costs little of the bounds and makes passes many times cheaper.
    """
    fields = extents(graph, i, shapes)
    gates = graph.gates() if fields is None else set()
    beside_gates = extents(graph, i, shapes, gates) if gates else None
    return (fields, set()) if beside_gates is None else (beside_gates, gates)


def _bound_windows(
    mask: Tensor, i: int, passes: Relaxation, layout: Windows, settings: Settings
) -> tuple[Tensor, Ends]:
    """Numbers of units, of all examples in one list, and their bounds: [places, units].

    mask: [batch, ...] bool, the units to bound.
    """
    channels = mask.shape[-1]
    mask = tf.reshape(mask, [-1, channels])
    busy = tf.reduce_any(mask, axis=1)

    def every_channel() -> tuple[Tensor, Tensor]:
        return tf.where(busy)[:, 0], tf.range(channels, dtype=tf.int64)[tf.newaxis]

    def one_channel() -> tuple[Tensor, Tensor]:
        """A place for each unit, and an idle one at the end: no batch may be empty.

        Padded and split by operations that have a kernel on GPUs; integers of 32 bits would
        stay on the host.
        """
        pairs = tf.concat([tf.where(mask), tf.zeros([1, 2], tf.int64)], axis=0)
        return pairs[:, 0], pairs[:, 1:]

    most = _count(mask) > ENOUGH * channels * _count(busy)
    places, units = tf.cond(most, every_channel, one_channel)  # [places], [places or 1, units]

    def chunk(k: Tensor) -> Ends:
        channel = tf.gather(units, k[: tf.shape(units)[0]] % tf.shape(units)[0])
        start = tf.one_hot(channel, channels)[:, :, tf.newaxis, tf.newaxis]
        return _ends(passes, layout.at(tf.gather(places, k)), i, start)

    largest = max(
        math.prod(extent.size) * layout.shapes[k][-1] for k, extent in layout.extents.items()
    )
    ends = _in_chunks(chunk, tf.shape(places)[0], tf.shape(units)[1], largest, settings)
    return places[:, tf.newaxis] * channels + units, ends


def _bound_whole(
    mask: Tensor, i: int, passes: Relaxation, layout: Whole, settings: Settings
) -> tuple[Tensor, Ends]:
    """Numbers of units and their bounds: [batch, units].

    mask: [batch, ...] bool, the units to bound; each example gets as many as the one with most.
    """
    batch, shape = tf.shape(mask)[0], mask.shape[1:]
    count = math.prod(shape)
    mask = tf.cast(tf.reshape(mask, [-1, count]), tf.int32)
    most = tf.reduce_max(tf.reduce_sum(mask, axis=1))
    units = tf.cond(
        most > int(ENOUGH * count),
        lambda: tf.range(count)[tf.newaxis],
        lambda: tf.math.top_k(mask, tf.maximum(most, 1)).indices,
    )

    def chunk(k: Tensor) -> Ends:
        start = tf.one_hot(tf.gather(units, k, axis=1), count)
        start = tf.reshape(start, tf.concat([tf.shape(start)[:2], shape], axis=0))
        ends = _ends(passes, layout, i, tf.ensure_shape(start, [None, None, *shape]))
        return Ends(*(tf.transpose(end) for end in ends))

    largest = max(math.prod(shape) for shape in layout.shapes.values())
    ends = _in_chunks(chunk, tf.shape(units)[1], batch, largest, settings)
    ends = Ends(*(tf.transpose(end) for end in ends))
    return tf.range(batch)[:, tf.newaxis] * count + units, ends


def _everything(box: Box) -> Box:
    """A box of the same shape without ends."""
    far = (tf.fill(tf.shape(box.lower), end) for end in (-math.inf, math.inf))
    return Box(*(tf.ensure_shape(end, box.lower.shape) for end in far))


def _cut(box: Box, mask: Tensor, numbers: Tensor, ends: Ends) -> Box:
    """A box, cut by the ends of the units in the mask. numbers: of the units, flat."""
    chosen = tf.gather(tf.reshape(mask, [-1]), numbers)
    lower = tf.where(chosen & tf.math.is_finite(ends.lower), ends.lower, -math.inf)
    upper = tf.where(chosen & tf.math.is_finite(ends.upper), ends.upper, math.inf)
    places, shape = numbers[..., tf.newaxis], tf.shape(box.lower)
    lower = tf.tensor_scatter_nd_max(tf.reshape(box.lower, [-1]), places, lower)
    upper = tf.tensor_scatter_nd_min(tf.reshape(box.upper, [-1]), places, upper)
    cut = Box(tf.reshape(lower, shape), tf.reshape(upper, shape))
    return Box(*(tf.ensure_shape(end, box.lower.shape) for end in cut))


def _ends(passes: Relaxation, layout: Layout, i: int, start: Tensor) -> Ends:
    """Lower and upper bounds of rows of coefficients; parallel lines give both at once."""
    if passes.parallel:
        walk = Walk(passes, layout, both=True).run(i, start)
        return Ends(walk.minimum(), walk.maximum())
    below, above = Walk(passes, layout, both=True).run_to_activations(i, start).fork()
    return Ends(below.finish().minimum(), -above.finish().minimum())


def _in_chunks(
    chunk: Callable[[Tensor], Ends], steps: Tensor, rows: Tensor, largest: int, settings: Settings
) -> Ends:
    """Runs passes over rows in chunks that keep to the memory budget, and joins their ends.

    chunk: gives the ends of some steps, [steps, rows]. largest: the most coefficients of a row.
    """
    run = recomputed(chunk) if settings.recompute else chunk
    room = int(settings.memory * 2**20) // (4 * TEMPORARIES * largest)
    size = tf.maximum(room // rows, 1)

    def body(k: Tensor, lower: tf.TensorArray, upper: tf.TensorArray) -> tuple:
        ends = Ends(*run(tf.range(k * size, tf.minimum((k + 1) * size, steps))))
        return k + 1, lower.write(k, ends.lower), upper.write(k, ends.upper)

    count = tf.maximum(-(-steps // size), 1)
    arrays = [
        tf.TensorArray(tf.float32, count, infer_shape=False, element_shape=[None, None])
        for _ in range(2)
    ]
    _, lower, upper = tf.while_loop(
        lambda k, *_: k < count, body, (0, *arrays), parallel_iterations=1
    )
    return Ends(lower.concat(), upper.concat())


def _count(mask: Tensor) -> Tensor:
    return tf.reduce_sum(tf.cast(mask, tf.float32))


def is_exact(graph: Graph, region: Region, i: int) -> bool:
    """Whether intervals of node i are exact: a box goes through one mixing operation at most."""
    if not region.threat.is_box:
        return False
    before = [graph.nodes[k - 1].op for k in graph.ancestors(i)]
    if any(isinstance(op, Bent) for op in before):
        return False
    return sum(not _is_elementwise(op) for op in before) <= 1


def _is_elementwise(op: Op) -> bool:
    if isinstance(op, Affine):
        return op.fn is tf.multiply
    return isinstance(op, Positive) and op.terms == 1
