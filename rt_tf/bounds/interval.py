"""Interval arithmetic (Gowal et al. 2018) from input to output, in centre and radius form."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.bounds import rounding
from rt_tf.bounds.result import Box
from rt_tf.network.graph import Graph, Hull
from rt_tf.network.ops import Activation, Affine, Limits, Op, Positive, Product, Tensor


class Image(NamedTuple):
    """The box of an operation's values [batch, ...], and bounds of the sizes of what it sums.

    The magnitude is None where the sum does not round.
    """

    box: Box
    magnitude: Tensor | None = None


class Enclosure(NamedTuple):
    """The boxes of all nodes by number (0 is the input), and the magnitudes of nodes that round."""

    boxes: dict[int, Box]
    magnitudes: dict[int, Tensor]

    @property
    def shapes(self) -> dict[int, tuple[int, ...]]:
        """The shapes of all nodes' values by number, without batch."""
        return {i: tuple(box.lower.shape[1:]) for i, box in self.boxes.items()}


def enclose(
    graph: Graph,
    start: Box,
    arithmetic: str = "fast",
    tighten: Callable[[int, Enclosure], Box] | None = None,
) -> Enclosure:
    """Encloses the value of every node. start: the box of the input, each end [batch, ...].

    tighten: gives a better box of a node from its number and the bounds of all nodes up to it.
    """
    sound = arithmetic == "sound"
    boxes, magnitudes = {0: start}, {}
    for i, node in graph.numbered():
        box, magnitude = image(node.op, [boxes[k] for k in node.inputs], sound)
        boxes[i] = cut_by_limits(cut_by_hull(box, node.hull, boxes), node.limits, boxes)
        if magnitude is not None:
            magnitudes[i] = magnitude
        if tighten is not None:
            boxes[i] = tighten(i, Enclosure(boxes, magnitudes))
    return Enclosure(boxes, magnitudes)


def image(op: Op, inputs: list[Box], sound: bool = False) -> Image:
    """The interval image of one operation, from the boxes of its inputs."""
    if isinstance(op, Affine):
        return sound_affine(op, inputs[0]) if sound else Image(affine(op, inputs[0]))
    if isinstance(op, Positive):
        return sound_positive(op, inputs) if sound and op.terms > 1 else Image(monotone(op, inputs))
    if isinstance(op, Product):
        return Image(product(inputs[0], inputs[1], sound))
    assert isinstance(op, Activation)
    return Image(sound_activation(op, inputs[0]) if sound else activation(op, inputs[0]))


def affine(op: Affine, x: Box) -> Box:
    """The interval image `W c + b -+ |W| r`; the halves are taken in the kernel, which is small."""
    half = 0.5 * op.kernel
    centre = op.fn(x.lower + x.upper, half) + op.bias
    radius = op.fn(x.upper - x.lower, tf.abs(half))
    return Box(centre - radius, centre + radius)


def monotone(op: Positive, inputs: list[Box]) -> Box:
    """The interval image of a nondecreasing operation: it takes ends to ends."""
    return Box(op(*(x.lower for x in inputs)), op(*(x.upper for x in inputs)))


def product(x: Box, y: Box, sound: bool = False) -> Box:
    """The interval image of an elementwise product, whose extremes lie at corners.

    sound: whether it is widened by the rounding of products, here and served.
    """
    corners = [a * b for a, b in itertools.product(x, y)]
    box = Box(functools.reduce(tf.minimum, corners), functools.reduce(tf.maximum, corners))
    if not sound:
        return box
    error = rounding.product_error(x.magnitude, y.magnitude, x.magnitude * y.magnitude)
    return Box(box.lower - error, box.upper + error)


def activation(op: Activation, x: Box) -> Box:
    """The interval image of an elementwise function."""
    return Box(*op.image(*x))


def sound_affine(op: Affine, x: Box) -> Image:
    """The image under an affine operation, widened by the rounding of the network and its own."""
    size = x.magnitude
    radius = x.radius + 4.0 * rounding.UNIT * size  # covers the rounding of centre and radius
    magnitude = op.absolute(size) + op.magnitude
    centre = op(x.centre)
    radius = op.absolute(radius) + rounding.forward_error(op, size, magnitude)
    return Image(Box(centre - radius, centre + radius), magnitude)


def sound_activation(op: Activation, x: Box) -> Box:
    """The image under an activation, widened by the error of its evaluation, here and served."""
    box = activation(op, x)
    if op.ulps == op.absolute == 0.0:
        return box
    relative, absolute = 2.0 * (op.ulps + 2.0) * rounding.UNIT, 2.0 * op.absolute
    lower, upper = (relative * tf.abs(end) + absolute + 4.0 * rounding.TINY for end in box)
    return Box(box.lower - lower, box.upper + upper)


def sound_positive(op: Positive, inputs: list[Box]) -> Image:
    """The image under a sum with coefficients >= 0, widened by the rounding of that sum."""
    box = monotone(op, inputs)
    magnitude = op.sizes(*(x.magnitude for x in inputs))
    if op.copies:  # backward alone they are summed
        return Image(box, magnitude)
    error = 2.0 * rounding.gamma(op.terms + 4) * rounding.spare(op.terms) * magnitude
    error += op.terms * rounding.TINY
    return Image(Box(box.lower - error, box.upper + error), magnitude)


def cut_by_limits(box: Box, limits: Limits | None, boxes: dict[int, Box]) -> Box:
    """A node's box, cut by numbers that no value is outside of."""
    if limits is None:
        return box
    lower, upper = limits.lower, limits.upper
    if limits.by_size:
        room = _room(limits.by_size, boxes[limits.source], box.lower.shape.rank)
        lower, upper = lower - room, upper + room
    return Box(*(tf.minimum(tf.maximum(end, lower), upper) for end in box))


def _room(by_size: float, source: Box, rank: int) -> Tensor:
    """A share of the largest size in each example's box, [batch, 1, ...] of a rank."""
    return tf.reshape(by_size * rounding.largest(source.magnitude), [-1] + [1] * (rank - 1))


def cut_by_hull(box: Box, hull: Hull | None, boxes: dict[int, Box]) -> Box:
    """A node's box, cut by the box that its hull gives: an operation on earlier nodes."""
    if hull is None:
        return box
    sources = [boxes[i] for i in hull.sources]
    exact = monotone(hull.op, sources)
    if hull.upper is not None:
        exact = exact._replace(upper=hull.upper(*(x.upper for x in sources)))
    if hull.by_size:
        room = _room(hull.by_size, sources[0], box.lower.shape.rank)
        exact = Box(exact.lower - room, exact.upper + room)
    return Box(tf.maximum(box.lower, exact.lower), tf.minimum(box.upper, exact.upper))
