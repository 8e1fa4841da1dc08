"""Bounds of every layer by the backward pass itself, and not by intervals (Wong & Kolter; CROWN).

Only units that intervals leave unstable are asked about: the rest have nothing to gain.
"""

import math
from collections.abc import Callable, Set
from typing import NamedTuple

import tensorflow as tf

from rt_tf.bounds.backward import Relaxation, Slopes, Walk, relax
from rt_tf.bounds.extents import extents
from rt_tf.bounds.interval import Enclosure, enclose
from rt_tf.bounds.result import Box
from rt_tf.bounds.views import View, Whole, Windows
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation, Affine, Op, Positive, Tensor
from rt_tf.threats.region import Region

MEMORY = 64  # MiB; more is no faster, since less of it stays in the processor's cache
TEMPORARIES = 10  # tensors of a row's coefficients that are alive at once


class Settings(NamedTuple):
    """How layers are bounded. memory: MiB that the coefficients of a pass may take.

    The memory bounds the passes forward; training keeps what its gradients need of all of them.
    """

    slope: Slopes = "adaptive"
    arithmetic: str = "fast"
    memory: float = MEMORY


class Ends(NamedTuple):
    """Lower and upper bounds of the rows of a pass."""

    lower: Tensor
    upper: Tensor


def full_enclosure(
    graph: Graph, region: Region, settings: Settings, nodes: Set[int] | None = None
) -> Enclosure:
    """Encloses every node, those before activations by backward passes.

    nodes: the ones to bound so (default: all that an activation reads); the others get intervals.
    Source: Wong 2020 (thesis), algorithm 1; Zhang et al. 2018 (CROWN).
    """
    chosen = graph.preactivations() if nodes is None else nodes

    def tighten(i: int, enclosure: Enclosure) -> Box:
        box = enclosure.boxes[i]
        if i not in chosen or is_exact(graph, region, i):
            return box
        return backward_box(graph, region, enclosure, i, settings)

    return enclose(graph, Box(*region.box()), settings.arithmetic, tighten)


def head_enclosure(graph: Graph, region: Region, arithmetic: str = "fast") -> Enclosure:
    """Interval bounds, but of the affine maps before the first activations the region's own."""
    head = graph.head() & graph.preactivations()

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

    enclosure: bounds of all nodes up to i, whose box is to be cut.
    """
    found = extents(graph, i, enclosure.shapes)
    whole = Whole(enclosure.shapes)
    view: Whole | Windows = whole if found is None else Windows(enclosure.shapes, found, i)
    nodes = [(k, graph.nodes[k - 1]) for k in sorted(graph.ancestors(i), reverse=True)]
    passes = relax(i, nodes, region, enclosure, view, settings.slope, {}, settings.arithmetic)
    box = enclosure.boxes[i]
    asked = (
        tf.ones_like(box.lower, tf.bool) if every_unit else (box.lower < 0.0) & (box.upper > 0.0)
    )
    if isinstance(view, Whole):
        return _cut_whole(box, asked, i, passes, view, settings)
    return _cut_windows(box, asked, i, passes, view, settings)


def _cut_windows(
    box: Box, asked: Tensor, i: int, passes: Relaxation, view: Windows, settings: Settings
) -> Box:
    """Rows are the units asked for, of all examples in one list, and an idle one at its end."""
    height, width, channels = view.shapes[i]
    units = tf.pad(tf.where(asked), [[0, 1], [0, 0]])  # [rows, 4]: example, row, column, channel
    example, row, column, channel = tf.unstack(units, axis=1)
    places = (example * height + row) * width + column

    def chunk(rows: Tensor) -> Ends:
        start = tf.one_hot(tf.gather(channel, rows), channels)  # [rows, channels]
        return _ends(passes, view.at(tf.gather(places, rows)), i, start[tf.newaxis, :, None, None])

    largest = max(math.prod(extent.size) * view.shapes[k][-1] for k, extent in view.extents.items())
    rows = tf.shape(units)[0]
    found = _in_chunks(chunk, rows, 1, largest, settings)
    lower, upper = _busy(found, tf.range(rows) < rows - 1)
    return Box(
        tf.tensor_scatter_nd_max(box.lower, units, lower[0]),
        tf.tensor_scatter_nd_min(box.upper, units, upper[0]),
    )


def _cut_whole(
    box: Box, asked: Tensor, i: int, passes: Relaxation, view: Whole, settings: Settings
) -> Box:
    """As many rows for each example as the one with most units asks for; the others are idle."""
    batch, shape = tf.shape(asked)[0], asked.shape[1:]
    asked = tf.cast(tf.reshape(asked, [-1, math.prod(shape)]), tf.int32)
    most = tf.maximum(tf.reduce_max(tf.reduce_sum(asked, axis=1)), 1)
    _, units = tf.math.top_k(asked, most)  # [batch, rows]

    def chunk(rows: Tensor) -> Ends:
        start = tf.one_hot(tf.gather(units, rows, axis=1), asked.shape[1])
        start = tf.reshape(start, tf.concat([tf.shape(start)[:2], shape], axis=0))
        return _ends(passes, view, i, tf.ensure_shape(start, [None, None, *shape]))

    largest = max(math.prod(shape) for shape in view.shapes.values())
    found = _in_chunks(chunk, most, batch, largest, settings)
    found = _busy(found, tf.gather(asked, units, batch_dims=1) > 0)
    examples = tf.broadcast_to(tf.range(batch)[:, tf.newaxis], tf.shape(units))
    places = tf.stack([examples, units], axis=-1)
    lower, upper = (tf.reshape(end, [-1, asked.shape[1]]) for end in box)
    lower = tf.tensor_scatter_nd_max(lower, places, found.lower)
    upper = tf.tensor_scatter_nd_min(upper, places, found.upper)
    return Box(tf.reshape(lower, [-1, *shape]), tf.reshape(upper, [-1, *shape]))


def _ends(passes: Relaxation, view: View, i: int, start: Tensor) -> Ends:
    """Lower and upper bounds of rows of coefficients; parallel lines give both at once."""
    if passes.parallel:
        walk = Walk(passes, view, both=True).run(i, start)
        return Ends(walk.minimum(), walk.maximum())
    below, above = Walk(passes, view, both=True).run_to_activations(i, start).fork()
    return Ends(below.finish().minimum(), -above.finish().minimum())


def _in_chunks(
    chunk: Callable[[Tensor], Ends],
    rows: Tensor,
    batch: Tensor | int,
    largest: int,
    settings: Settings,
) -> Ends:
    """Runs passes over rows in chunks that keep to the memory budget, and joins what they find."""
    room = int(settings.memory * 2**20) // (4 * TEMPORARIES * largest)
    size = tf.maximum(room // batch, 1)

    def body(k: Tensor, lower: tf.TensorArray, upper: tf.TensorArray) -> tuple:
        ends = chunk(tf.range(k * size, tf.minimum((k + 1) * size, rows)))
        return k + 1, *(
            a.write(k, tf.transpose(end)) for a, end in zip((lower, upper), ends, strict=True)
        )

    count = tf.maximum(-(-rows // size), 1)
    arrays = [
        tf.TensorArray(tf.float32, count, infer_shape=False, element_shape=[None, None])
        for _ in range(2)
    ]
    _, lower, upper = tf.while_loop(
        lambda k, *_: k < count, body, (0, *arrays), parallel_iterations=1
    )
    return Ends(tf.transpose(lower.concat()), tf.transpose(upper.concat()))


def _busy(found: Ends, busy: Tensor) -> Ends:
    """Ends that say nothing of idle rows (no batch may be empty), and where no number was found."""
    return Ends(
        tf.where(busy & tf.math.is_finite(found.lower), found.lower, -math.inf),
        tf.where(busy & tf.math.is_finite(found.upper), found.upper, math.inf),
    )


def is_exact(graph: Graph, region: Region, i: int) -> bool:
    """Whether intervals already are exact: a box through one mixing operation at most."""
    if not region.threat.is_box:
        return False
    before = [graph.nodes[k - 1].op for k in graph.ancestors(i)]
    if any(isinstance(op, Activation) for op in before):
        return False
    return sum(not _is_elementwise(op) for op in before) <= 1


def _is_elementwise(op: Op) -> bool:
    if isinstance(op, Affine):
        return op.fn is tf.multiply
    return isinstance(op, Positive) and op.terms == 1
