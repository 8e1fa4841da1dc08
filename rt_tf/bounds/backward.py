"""Linear bounds from a node back to the input (Fast-Lin, CROWN, Wong & Kolter's dual).

One pass with the intermediate bounds as an argument. Going backward, `coefficients . value` at the
nodes not yet expanded, plus a constant, bounds the rows from below on the region.
"""

from collections.abc import Mapping

import tensorflow as tf

from rt_tf.bounds import rounding
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.layouts import Layout, Whole
from rt_tf.bounds.relaxation import Relaxation, Slopes, UnitSplit, relax
from rt_tf.bounds.result import Box
from rt_tf.network.graph import Graph, Node
from rt_tf.network.ops import Affine, Bent, Tensor, box_minimum, inner
from rt_tf.threats.region import Region


def lower_bound(
    graph: Graph,
    region: Region,
    spec: Tensor,
    enclosure: Enclosure,
    *,
    slope: Slopes = "adaptive",
    expand: set[int] | None = None,
    splits: Mapping[int, UnitSplit] | None = None,
    arithmetic: str = "fast",
) -> Tensor:
    """Lower bounds of `spec . f(x)` over the region: [batch, spec].

    spec: [batch, spec, classes]. enclosure: bounds of every node's value; where there are
    splits, cut by them. expand: the nodes to walk through (default: all, down to the input);
    the others are replaced by their bounds.

    Source: Zhang et al. 2018 (CROWN), theorem 3.2; Wong 2020 (thesis), eq. 3.8 with
    slope=parallel.
    """
    walk = walk_back(
        graph,
        region,
        spec,
        enclosure,
        slope=slope,
        expand=expand,
        splits=splits,
        arithmetic=arithmetic,
    )
    return least_of(walk, enclosure)


def least_of(walk: "Walk", enclosure: Enclosure) -> Tensor:
    """Lower bounds of a finished pass, [batch, rows]; if sound, -inf where any box is undefined."""
    margins = walk.minimum()
    return refuse_undefined(margins, enclosure.boxes) if walk.sound else margins


def walk_back(
    graph: Graph,
    region: Region,
    spec: Tensor,
    enclosure: Enclosure,
    *,
    slope: Slopes = "adaptive",
    expand: set[int] | None = None,
    splits: Mapping[int, UnitSplit] | None = None,
    arithmetic: str = "fast",
) -> "Walk":
    """The finished backward pass of rows spec [batch, spec, classes], which `lower_bound` reads.

    Its final coefficients, [batch, spec, ...] by node, show what the bound depends on. The other
    arguments are those of `lower_bound`.
    """
    layout = Whole(enclosure.shapes)
    nodes = [
        (i, node) for i, node in reversed(list(graph.numbered())) if expand is None or i in expand
    ]
    relaxation = relax(
        graph.output, nodes, region, enclosure, layout, slope, splits or {}, arithmetic
    )
    return Walk(relaxation, layout).run(graph.output, spec)


class Walk:
    """The state of a backward pass for some rows: coefficients by node and the constants so far.

    In sound arithmetic constants are summed in float64, whose own rounding is far below the
    further terms of the error model; `rounded` collects the errors of the float32 part. ragged:
    nodes whose coefficients may be of places outside an image. both: whether the rows are
    bounded from above as well, which parallel lines allow in one pass. final_coefficients: by
    node, of activations and the input.
    """

    def __init__(self, relaxation: Relaxation, layout: Layout, both: bool = False) -> None:
        self.relaxation = relaxation
        self.layout = layout
        self.both = both
        self.sound = relaxation.sound
        self.dtype = tf.float64 if self.sound else tf.float32
        self.coefficients: dict[int, Tensor] = {}
        self.final_coefficients: dict[int, Tensor] = {}
        self.ragged: set[int] = set()
        self.constant = Box(tf.constant(0.0, self.dtype), tf.constant(0.0, self.dtype))
        self.rounded: Tensor = tf.constant(0.0, self.dtype)

    def run(self, start: int, coefficients: Tensor) -> "Walk":
        """Walks back from coefficients [batch, rows, ...] of a node."""
        self._add(start, coefficients)
        return self.finish()

    def run_to_activations(self, start: int, coefficients: Tensor) -> "Walk":
        """Walks back from coefficients [batch, rows, ...] of a node until before any activation."""
        self._add(start, coefficients)
        self._walk(past_activations=False)
        return self

    def finish(self) -> "Walk":
        """Walks back from where the walk stands to the input; returns itself."""
        self._walk(past_activations=True)
        self._close()
        return self

    def _walk(self, past_activations: bool) -> None:
        for i, node in self.relaxation.nodes:
            if i not in self.coefficients:
                continue
            if isinstance(node.op, Bent) and not past_activations:
                return
            self._expand(i, node, self._pop(i))

    def fork(self) -> tuple["Walk", "Walk"]:
        """Two walks from here on, for these rows and their negatives; for lower bounds alone."""
        walks = []
        for sign, constant in ((1.0, self.constant.lower), (-1.0, -self.constant.upper)):
            walk = Walk(self.relaxation, self.layout)
            walk.coefficients = {i: sign * v for i, v in self.coefficients.items()}
            walk.ragged = set(self.ragged)
            walk.constant = Box(constant, constant)
            walk.rounded = self.rounded
            walks.append(walk)
        return walks[0], walks[1]

    def minimum(self) -> Tensor:
        """The lower bound of every row: [batch, rows]."""
        return self._outward(self.constant.lower, -1.0)

    def maximum(self) -> Tensor:
        """The upper bound of every row, [batch, rows]; for a walk with `both`."""
        return self._outward(self.constant.upper, 1.0)

    def _add(
        self, i: int, coefficients: Tensor, terms: int = 1, largest: Tensor | float = 1.0
    ) -> None:
        """Adds coefficients, each summed from so many terms, to those of node i."""
        if self.sound:
            self.rounded += self.layout.by_row(
                tf.cast(terms * largest * self.relaxation.flushed[i], self.dtype)
            )
        if i not in self.coefficients:
            self.coefficients[i] = coefficients
            return
        before = self.coefficients[i]
        self.coefficients[i] = before + coefficients
        if self.sound:
            weights = 4.0 * rounding.UNIT * (tf.abs(before) + tf.abs(coefficients))
            self.rounded += self._dot(weights, self._rows_of(i, self.relaxation.sizes))

    def _pop(self, i: int) -> Tensor:
        if i in self.relaxation.splits:
            split = self.relaxation.splits[i]
            self._add(i, -split.multiplier * self.layout.arrange(i, split.sign))
        return self.coefficients.pop(i)

    def _expand(self, i: int, node: Node, coefficients: Tensor) -> None:
        """Replaces node i by the operation that computes it."""
        if i in self.relaxation.errors:
            errors = self._rows_of(i, self.relaxation.errors)
            self.rounded += self._dot(tf.abs(coefficients), errors)
        if isinstance(node.op, Bent):
            self._bent(i, node, coefficients)
            return
        coefficients = self._inside(i, coefficients)
        terms, largest = 1, tf.constant(1.0)
        if isinstance(node.op, Affine):
            terms = node.op.transposed_terms
            largest += tf.reduce_max(tf.abs(node.op.kernel))
            bias = self._dot_bias(coefficients, node.op.bias)
            self.constant = Box(*(end + bias for end in self.constant))
        parts = self.layout.transposes(i, node, coefficients)
        for source, part in zip(node.inputs, parts, strict=True):
            self._add(source, part, terms, largest)
            self.ragged.add(source)

    def _inside(self, i: int, coefficients: Tensor) -> Tensor:
        """The coefficients without those of places outside an image, which lines do not bound."""
        return self.layout.inside(i, coefficients) if i in self.ragged else coefficients

    def _bent(self, i: int, node: Node, coefficients: Tensor) -> None:
        """The lower line where the coefficient is positive, the upper line where it is negative."""
        self.final_coefficients[i] = coefficients
        lines = self.relaxation.lines[i]
        positive = tf.nn.relu(coefficients)
        negative = coefficients - positive
        self._offset(negative, positive, self.layout.gather_rows(i, lines.upper_offset))
        if lines.lower_offset is not None:
            self._offset(positive, negative, self.layout.gather_rows(i, lines.lower_offset))
        # of a product by a box there are lines in its first factor alone
        for source, (lower, upper) in zip(node.inputs, lines.slopes, strict=False):
            above = self.layout.gather_rows(i, upper)
            largest = self._largest(lower, upper)
            if lower is upper:
                part = coefficients * above
            else:
                part = positive * self.layout.gather_rows(i, lower) + negative * above
            self._add(source, self.layout.widened(i, source, part), largest=largest)

    def _largest(self, *slopes: Tensor) -> Tensor:
        """A bound of one and of all slopes: a coefficient that underflows is multiplied by them."""
        if not self.sound:
            return tf.constant(1.0)
        return 1.0 + tf.add_n([tf.reduce_max(tf.abs(slope)) for slope in slopes])

    def _offset(self, below: Tensor, above: Tensor, offset: Tensor) -> None:
        """Adds a line's offset to the constants, weighed by the coefficients that use the line."""
        lower, upper = self.constant
        lower += self._dot(below, offset)
        self.constant = Box(lower, upper + self._dot(above, offset) if self.both else upper)

    def _close(self) -> None:
        """Replaces nodes that were not walked through by their bounds, the input by its region."""
        self.final_coefficients |= {i: v for i, v in self.coefficients.items() if i == 0}
        for i, coefficients in self.coefficients.items():
            if self.sound:
                relative = 4.0 * coefficients.shape[2:].num_elements() * rounding.DOUBLE_UNIT
                sizes = self._rows_of(i, self.relaxation.sizes)
                self.rounded += relative * self._dot(tf.abs(coefficients), sizes)
            v = tf.cast(self._inside(i, coefficients), self.dtype)
            lower, upper = self.constant
            lower += self._least(i, v)
            self.constant = Box(lower, upper - self._least(i, -v) if self.both else upper)

    def _least(self, i: int, coefficients: Tensor) -> Tensor:
        if i == 0:
            return self.layout.minimum(self.relaxation.region, coefficients)
        box = self.relaxation.boxes[i]
        ends = (tf.cast(self.layout.gather_rows(i, end)[:, 0], self.dtype) for end in box)
        return box_minimum(coefficients, *ends)

    def _outward(self, bound: Tensor, sign: float) -> Tensor:
        if not self.sound:
            return bound
        bound += sign * self.rounded * (1.0 + 1e-4)  # the errors are summed in float32
        return tf.cast(rounding.away(bound, sign), tf.float32)

    def _rows_of(self, i: int, arranged: Mapping[int, Tensor]) -> Tensor:
        return self.layout.gather_rows(i, arranged[i])

    def _dot(self, coefficients: Tensor, values: Tensor) -> Tensor:
        """<coefficients, values> of every row. Values broadcast against the coefficients."""
        if self.sound:
            return rounding.sum_by_blocks(coefficients * values)
        if values.shape[1] == 1 and values.shape[2:] == coefficients.shape[2:]:
            return inner(coefficients, values[:, 0])
        products = coefficients * values
        return tf.reduce_sum(products, axis=list(range(2, products.shape.rank)))

    def _dot_bias(self, coefficients: Tensor, bias: Tensor) -> Tensor:
        """<coefficients, bias> of every row; if fast, the broadcast axes are summed first."""
        if self.sound:
            return self._dot(coefficients, bias)
        shared = coefficients.shape.rank - 2 - bias.shape.rank
        v = (
            tf.reduce_sum(coefficients, axis=list(range(2, 2 + shared)))
            if shared > 0
            else coefficients
        )
        return tf.reduce_sum(v * bias, axis=list(range(2, v.shape.rank)))


def refuse_undefined(margins: Tensor, boxes: dict[int, Box]) -> Tensor:
    """The margins [batch, spec], -inf where any box of the example is NaN, infinite or empty.

    Comparisons on the way may hide such a box from the margins themselves.
    """
    defined = tf.math.is_finite(margins)
    for box in boxes.values():
        whole = tf.math.is_finite(box.lower) & tf.math.is_finite(box.upper)
        whole = tf.reshape(whole & (box.lower <= box.upper), [tf.shape(box.lower)[0], -1])
        defined &= tf.reduce_all(whole, axis=1, keepdims=True)
    return tf.where(defined, margins, -float("inf"))
