"""Linear bounds from the output back to the input (Fast-Lin, CROWN, Wong & Kolter's dual).

One pass with the intermediate bounds as an argument. Going backward, `coefficients . value` at
the nodes not yet expanded, plus a constant, bounds `spec . f(x)` from below on the region.
"""

import math

import tensorflow as tf

from rt_tf.bounds import rounding
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.result import Box
from rt_tf.network.graph import Graph, Node
from rt_tf.network.ops import Activation, Affine, Positive, Tensor, inner
from rt_tf.threats.region import Region


def lower_bound(
    graph: Graph,
    region: Region,
    spec: Tensor,
    enclosure: Enclosure,
    *,
    slope: str = "adaptive",
    expand: set[int] | None = None,
    arithmetic: str = "fast",
) -> Tensor:
    """Lower bounds of `spec . f(x)` over the region: [batch, spec].

    spec: [batch, spec, classes]. enclosure: bounds of every node's value. expand: the nodes to walk
    through (default: all, down to the input); the others are replaced by their bounds.
    Source: Zhang et al. 2018 (CROWN), theorem 3.2; Wong 2020 (thesis), eq. 3.8 with slope=parallel.
    """
    walk = _Walk(graph, enclosure, slope, sound=arithmetic == "sound")
    walk.add(graph.output, spec)
    for i, node in reversed(list(graph.numbered())):
        if i in walk.coefficients and (expand is None or i in expand):
            walk.expand(i, node)
    return walk.minimum(region)


class _Walk:
    """The state of a backward pass: coefficients by node, a constant, and the rounding so far.

    In sound arithmetic constants are summed in float64, whose own rounding is far below the spare
    terms in `rounding.backward_relative_error`; `rounded` collects the errors of the float32 part.
    """

    def __init__(self, graph: Graph, enclosure: Enclosure, slope: str, sound: bool) -> None:
        self.graph = graph
        self.boxes, self.magnitudes = enclosure
        self.slope = slope
        self.sound = sound
        self.dtype = tf.float64 if sound else tf.float32
        self.coefficients: dict[int, Tensor] = {}
        self.constant: Tensor = tf.constant(0.0, self.dtype)
        self.rounded: Tensor = tf.constant(0.0, self.dtype)

    def add(self, i: int, coefficients: Tensor, terms: int = 1) -> None:
        """Adds coefficients [batch, spec, ...] to those of node i."""
        self._round_flushed(i, terms)
        if i not in self.coefficients:
            self.coefficients[i] = coefficients
            return
        before = self.coefficients[i]
        self.coefficients[i] = before + coefficients
        self._round(2.0 * rounding.UNIT, tf.abs(before) + tf.abs(coefficients), self._size(i))

    def expand(self, i: int, node: Node) -> None:
        """Replaces node i by what it is made of."""
        coefficients = self.coefficients.pop(i)
        if isinstance(node.op, Affine):
            self._affine(i, node.op, node.inputs[0], coefficients)
        elif isinstance(node.op, Positive):
            self._positive(i, node.op, node.inputs, coefficients)
        else:
            self._activation(node.op, node.inputs[0], coefficients)

    def minimum(self, region: Region) -> Tensor:
        """The bound, with remaining nodes replaced by their bounds and the input by its region."""
        bound = self.constant
        for i, coefficients in self.coefficients.items():
            v = tf.cast(coefficients, self.dtype)
            bound += region.minimum(v) if i == 0 else _box_minimum(v, self.boxes[i])
            terms = math.prod(v.shape[2:])
            self._round(4.0 * terms * rounding.DOUBLE_UNIT, tf.abs(coefficients), self._size(i))
        if not self.sound:
            return bound
        bound -= self.rounded * (1.0 + 1e-6)
        bound = tf.cast(bound - 2.0 * rounding.UNIT * tf.abs(bound) - rounding.TINY, tf.float32)
        return _refuse_undefined(bound, self.boxes)

    def _affine(self, i: int, op: Affine, source: int, coefficients: Tensor) -> None:
        self.constant += self._dot_bias(coefficients, op.bias)
        if self.sound:
            weights = tf.abs(coefficients)
            self._round(rounding.backward_relative_error(op), weights, self.magnitudes[i])
            self._round_underflow(op, weights, self._size(source))
        self.add(source, _transpose(op.linear, self._shape(source), coefficients))

    def _positive(
        self, i: int, op: Positive, sources: tuple[int, ...], coefficients: Tensor
    ) -> None:
        if self.sound and i in self.magnitudes:
            error = 4.0 * rounding.gamma(op.terms + 4)
            flushed = 2.0 * op.terms * rounding.TINY
            self._round(1.0, tf.abs(coefficients), error * self.magnitudes[i] + flushed)
        shapes = [self._shape(k) for k in sources]
        for source, part in zip(sources, _transposes(op.linear, shapes, coefficients), strict=True):
            self.add(source, part, op.terms)

    def _activation(self, op: Activation, source: int, coefficients: Tensor) -> None:
        """The lower line where the coefficient is positive, the upper line where it is negative."""
        lines = op.relax(*self.boxes[source], self.slope)
        positive = tf.nn.relu(coefficients)
        negative = coefficients - positive
        self.constant += self._dot(negative, lines.upper_offset)
        if lines.lower_offset is not None:
            self.constant += self._dot(positive, lines.lower_offset)
        self._round((16.0 + op.ulps) * rounding.UNIT, tf.abs(coefficients), self._size(source))
        lower_slope, upper_slope = (
            s[:, tf.newaxis] for s in (lines.lower_slope, lines.upper_slope)
        )
        self.add(source, positive * lower_slope + negative * upper_slope)

    def _round(self, relative: float, weights: Tensor, size: Tensor) -> None:
        if self.sound:
            self.rounded += relative * self._dot(weights, size)

    def _round_underflow(self, op: Affine, weights: Tensor, size: Tensor) -> None:
        """Flushed products: in the transposed sums, met by the input, and in the network's sums."""
        tiny = tf.cast(rounding.underflow(op, size), tf.float64)
        largest = tf.cast(1.0 + rounding.largest(weights), tf.float64)
        units = math.prod(size.shape[1:]) + math.prod(weights.shape[2:])
        reach = tf.cast(1.0 + rounding.largest(size), tf.float64)
        self.rounded += (tiny * largest * units * reach)[:, tf.newaxis]

    def _round_flushed(self, i: int, terms: int) -> None:
        """Coefficients of node i that were flushed to zero on the way meet its values."""
        if self.sound:
            size = tf.reshape(self._size(i), [-1, math.prod(self._shape(i))])
            total = tf.reduce_sum(tf.cast(size, tf.float64), axis=1, keepdims=True)
            self.rounded += 4.0 * terms * rounding.TINY * total

    def _dot(self, coefficients: Tensor, values: Tensor) -> Tensor:
        """<coefficients, values> per specification. [b, s, ...], [b, ...] -> [b, s]."""
        return inner(tf.cast(coefficients, self.dtype), tf.cast(values, self.dtype))

    def _dot_bias(self, coefficients: Tensor, bias: Tensor) -> Tensor:
        """The same for a bias, summing over its broadcast axes first."""
        shared = coefficients.shape.rank - 2 - bias.shape.rank
        v = tf.cast(coefficients, self.dtype)
        v = tf.reduce_sum(v, axis=list(range(2, 2 + shared))) if shared > 0 else v
        return tf.reduce_sum(v * tf.cast(bias, self.dtype), axis=list(range(2, v.shape.rank)))

    def _size(self, i: int) -> Tensor:
        return self.boxes[i].magnitude if self.sound else self.boxes[i].upper

    def _shape(self, i: int) -> list[int]:
        return list(self.boxes[i].lower.shape[1:])


def _box_minimum(coefficients: Tensor, box: Box) -> Tensor:
    """min of <v, z> over a box: c . v - r . |v|."""
    lower, upper = (tf.cast(end, coefficients.dtype) for end in box)
    centre, radius = 0.5 * (lower + upper), 0.5 * (upper - lower)
    return inner(coefficients, centre) - inner(tf.abs(coefficients), radius)


def _transpose(linear, shape: list[int], coefficients: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    return _transposes(linear, [shape], coefficients)[0]


def _transposes(linear, shapes: list[list[int]], coefficients: Tensor) -> list[Tensor]:  # type: ignore[no-untyped-def]
    """The transpose of a linear map, by differentiating it. coefficients: [b, s, ...].

    Inside a tf.function nothing of the forward map remains in the graph but its shape.
    """
    specs = coefficients.shape[1]
    folded = tf.reshape(coefficients, [-1, *coefficients.shape[2:]])  # [b * s, ...]
    zeros = [tf.zeros([tf.shape(folded)[0], *shape]) for shape in shapes]
    with tf.GradientTape() as tape:
        tape.watch(zeros)
        value = linear(*zeros)
    parts = tape.gradient(value, zeros, output_gradients=folded)
    return [tf.reshape(p, [-1, specs, *shape]) for p, shape in zip(parts, shapes, strict=True)]


def _refuse_undefined(margins: Tensor, boxes: dict[int, Box]) -> Tensor:
    """No margin where any bound on the way is NaN, infinite or empty: comparisons may hide it."""
    defined = tf.math.is_finite(margins)
    for box in boxes.values():
        whole = tf.math.is_finite(box.lower) & tf.math.is_finite(box.upper)
        whole = tf.reshape(whole & (box.lower <= box.upper), [tf.shape(box.lower)[0], -1])
        defined &= tf.reduce_all(whole, axis=1, keepdims=True)
    return tf.where(defined, margins, -float("inf"))
