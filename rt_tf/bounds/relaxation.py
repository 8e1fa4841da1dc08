"""Lines around activations and prices of rounding, prepared once for a backward pass."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from rt_tf.bounds import rounding
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.layouts import Layout
from rt_tf.bounds.result import Box
from rt_tf.network.graph import Node
from rt_tf.network.ops import Activation, Lines, Slope, Tensor
from rt_tf.threats.region import Region

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

    nodes: the nodes to walk through, from the last. boxes: of the nodes that are reached but
    not walked through. flushed: by node, [batch], the price of coefficients that underflow.

    Arranged by the layout are the region and, by node, lines; errors, the price of a unit of
    coefficient for the rounding of a node's value; and sizes, bounds of absolute values.
    """

    nodes: list[tuple[int, Node]]
    region: Region
    lines: dict[int, Lines]
    boxes: dict[int, Box]
    splits: Mapping[int, UnitSplit]
    sound: bool
    errors: dict[int, Tensor]
    sizes: dict[int, Tensor]
    flushed: dict[int, Tensor]

    @property
    def parallel(self) -> bool:
        """Whether lower and upper lines have one slope, so that one pass gives both bounds."""
        return all(lines.lower_slope is lines.upper_slope for lines in self.lines.values())


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
    lines = {
        i: _lines(i, node.op, node.inputs[0], enclosure, layout, slope)
        for i, node in nodes
        if isinstance(node.op, Activation)
    }
    sizes = {i: enclosure.boxes[i].magnitude for i in walked | read | {0}} if sound else {}
    arranged = {i: layout.arrange(i, size) for i, size in sizes.items()}
    return Relaxation(
        nodes,
        layout.arrange_region(region),
        lines,
        {i: enclosure.boxes[i] for i in read},
        splits,
        sound,
        errors=_errors(nodes, enclosure, layout, lines, arranged) if sound else {},
        sizes=arranged,
        flushed={i: 4.0 * rounding.TINY * rounding.total(size) for i, size in sizes.items()},
    )


def _lines(
    i: int, op: Activation, source: int, enclosure: Enclosure, layout: Layout, slope: Slopes
) -> Lines:
    """Laid-out lines: rules apply before the layout, slopes after, as these may differ by row."""
    rule: Slope = slope if isinstance(slope, str) else slope.get(i, "adaptive")
    box = enclosure.boxes[source]
    if not isinstance(rule, str):
        return op.relax(layout.arrange(source, box.lower), layout.arrange(source, box.upper), rule)
    lines = op.relax(*box, rule)
    arranged: dict[int, Tensor] = {}  # parallel lines share a slope: once is enough
    return Lines(
        *(t if t is None else arranged.setdefault(id(t), layout.arrange(i, t)) for t in lines)
    )


def _errors(
    nodes: list[tuple[int, Node]],
    enclosure: Enclosure,
    layout: Layout,
    lines: dict[int, Lines],
    sizes: dict[int, Tensor],
) -> dict[int, Tensor]:
    """The price of rounding of a unit of coefficient, arranged, by node; none where it is 0."""
    errors = {}
    for i, node in nodes:
        op, source = node.op, node.inputs[0]
        if isinstance(op, Activation):
            errors[i] = rounding.activation_error(op, lines[i], sizes[source], sizes[i])
        elif i in enclosure.magnitudes:
            size = enclosure.boxes[source].magnitude
            errors[i] = layout.arrange(
                i, rounding.backward_error(op, size, enclosure.magnitudes[i])
            )
    return errors
