"""Lines around activations and prices of rounding, prepared once for a backward pass."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from rt_tf.bounds import rounding
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.layouts import Layout
from rt_tf.bounds.result import Box
from rt_tf.network.graph import Node
from rt_tf.network.ops import Activation, Bent, Lines, Op, Planes, Product, Slope, Tensor
from rt_tf.network.planes import product_lines
from rt_tf.threats.region import Region

Enclosing: TypeAlias = Lines | Planes  # what takes the place of a node

# One rule for all activations, or a rule or slopes for each, by the number of its node. Slopes have
# an axis for the rows: [batch, 1, ...] or [batch, rows, ...].
Slopes: TypeAlias = str | Mapping[int, Slope]


class UnitSplit(NamedTuple):
    """Signs that units of a pre-activation node are known to have, and the price of breaking them.

    sign: [batch, ...], 1 (>= 0), -1 (<= 0) or 0 (open). multiplier: [batch, 1 or rows, ...],
    not negative; any is sound, and with 0 the sign acts through the bounds alone.

    Source: Wang et al. 2021 (beta-CROWN), eq. 8.
    """

    sign: Tensor
    multiplier: Tensor


@dataclasses.dataclass(frozen=True)
class Relaxation:
    """The part of a backward pass that no row changes: computed once, shared by all chunks of rows.

    nodes: the nodes to walk through, from the last. flushed: by node, [batch], the price of
    coefficients that underflow.

    Arranged by the layout are the region and, by node, lines; boxes, of the nodes that are reached
    but not walked through; errors, the price of a unit of coefficient for the rounding of a node's
    value; and sizes, bounds of absolute values.
    """

    nodes: list[tuple[int, Node]]
    region: Region
    lines: dict[int, Enclosing]
    boxes: dict[int, Box]
    splits: Mapping[int, UnitSplit]
    sound: bool
    errors: dict[int, Tensor]
    sizes: dict[int, Tensor]
    flushed: dict[int, Tensor]

    @property
    def parallel(self) -> bool:
        """Whether lower and upper lines have one slope, so that one pass gives both bounds."""
        return all(lower is upper for lines in self.lines.values() for lower, upper in lines.slopes)


def relax(
    start: int,
    nodes: list[tuple[int, Node]],
    region: Region,
    enclosure: Enclosure,
    layout: Layout,
    slope: Slopes,
    splits: Mapping[int, UnitSplit],
    arithmetic: str,
) -> Relaxation:
    """Prepares passes from the node `start` through `nodes`, which are in reversed order.

    enclosure: bounds of all nodes that the pass reaches. splits: signs of units by node.
    """
    sound = arithmetic == "sound"
    walked = {i for i, _ in nodes}
    read = {start, *(k for _, node in nodes for k in node.inputs)} - walked - {0}
    nodes = [(i, _boxed_last(node, read)) for i, node in nodes]
    lines = {
        i: _lines(i, node, enclosure, layout, slope, read)
        for i, node in nodes
        if isinstance(node.op, Bent)
    }
    sizes = {i: enclosure.boxes[i].magnitude for i in walked | read | {0}} if sound else {}
    arranged = {i: layout.arrange(i, size) for i, size in sizes.items()}
    return Relaxation(
        nodes,
        layout.arrange_region(region),
        lines,
        {i: _arranged(layout, i, enclosure.boxes[i]) for i in read},
        splits,
        sound,
        errors=_errors(nodes, enclosure, layout, lines, arranged) if sound else {},
        sizes=arranged,
        flushed={i: 4.0 * rounding.TINY * rounding.total(size) for i, size in sizes.items()},
    )


def _boxed_last(node: Node, read: Set[int]) -> Node:
    """The node; of a product with a factor that is among those read as boxes, that one last."""
    if isinstance(node.op, Product) and node.inputs[0] in read:
        return node._replace(inputs=node.inputs[::-1])
    return node


def _lines(
    i: int, node: Node, enclosure: Enclosure, layout: Layout, slope: Slopes, read: Set[int]
) -> Enclosing:
    """Laid-out lines: rules apply before the layout, slopes after, as these may differ by row.

    read: the nodes that are taken as boxes. Of a product by one of them, lines in the other factor.
    """
    rule: Slope = slope if isinstance(slope, str) else slope.get(i, "adaptive")
    boxes = [enclosure.boxes[k] for k in node.inputs]
    own = enclosure.boxes[i] if node.limits else None
    if isinstance(node.op, Product) and node.inputs[1] in read:
        lines = _within(product_lines(*boxes), boxes[:1], own)
        return _each(lines, lambda tensor: layout.arrange(i, tensor))
    if not isinstance(rule, str):
        boxes = [_arranged(layout, i, box) for box in boxes]
        return enclosing(node.op, boxes, rule, own and _arranged(layout, i, own))
    lines = enclosing(node.op, boxes, rule, own)
    return _each(lines, lambda tensor: layout.arrange(i, tensor))


def enclosing(op: Op, boxes: Sequence[Box], slope: Slope, own: Box | None = None) -> Enclosing:
    """The lines or planes that bound a node over the boxes of what it reads.

    own: the node's own box, if it may be smaller than the others let it be; where lines leave more
    room than it does, the value is between its ends.
    """
    return _within(_unlimited(op, boxes, slope), boxes, own)


def _unlimited(op: Op, boxes: Sequence[Box], slope: Slope) -> Enclosing:
    if isinstance(op, Product):
        x, y = boxes
        return op.relax((x.lower, x.upper), (y.lower, y.upper), slope)
    assert isinstance(op, Activation)
    return op.relax(*boxes[0], slope)


def _within(lines: Enclosing, boxes: Sequence[Box], own: Box | None) -> Enclosing:
    """Lines, or flat ones at the ends of the node's own box where these are nearer together."""
    if own is None:
        return lines
    below = tf.constant(0.0) if lines.lower_offset is None else lines.lower_offset
    apart = lines.upper_offset - below
    for (lower, upper), box in zip(lines.slopes, boxes, strict=True):
        apart += (upper - lower) * box.centre
    flat = ~(apart <= own.upper - own.lower)  # NaN where lines are not finite
    slopes = _each(lines.slopes, lambda slope: tf.where(flat, 0.0, slope))
    return lines.of(
        slopes, tf.where(flat, own.lower, below), tf.where(flat, own.upper, lines.upper_offset)
    )


def _arranged(layout: Layout, i: int, box: Box) -> Box:
    return Box(*(layout.arrange(i, end) for end in box))


def _each(lines: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A change of every tensor; those that are shared, as slopes of parallel lines, stay so."""
    done: dict[int, Tensor] = {}

    def once(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        if id(tensor) not in done:
            done[id(tensor)] = change(tensor)
        return done[id(tensor)]

    return tf.nest.map_structure(once, lines)


def _errors(
    nodes: list[tuple[int, Node]],
    enclosure: Enclosure,
    layout: Layout,
    lines: dict[int, Enclosing],
    sizes: dict[int, Tensor],
) -> dict[int, Tensor]:
    """The price of rounding of a unit of coefficient, arranged, by node; none where it is 0."""
    errors = {}
    for i, node in nodes:
        op = node.op
        if isinstance(op, Bent):
            sources = [
                sizes[k] if layout.alike(i, k) else layout.arrange(i, enclosure.boxes[k].magnitude)
                for k in node.inputs
            ]
            errors[i] = rounding.relaxation_error(op, lines[i], sources, sizes[i])
        elif i in enclosure.magnitudes:
            size = enclosure.boxes[node.inputs[0]].magnitude
            errors[i] = layout.arrange(
                i, rounding.backward_error(op, size, enclosure.magnitudes[i])
            )
    return errors
