"""Functions z g(z) with a gate g from 0 to 1: concave, convex between two points, and concave.

They fall to a least value below 0 and rise from there. From the left f' falls from 0 to its least
value, then it rises to its largest, and on the right it falls to 1.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.network.curves.curve import NEVER, TINY, ConcaveStart, Curve, Points
from rt_tf.network.curves.tables import Function, Numbers, Table, root
from rt_tf.network.ops import Tensor

BEFORE, BEYOND = -90.0, 90.0  # the functions are 0 and z there
# Arguments of tables are sqrt(log(p / v)) for values v that fall from p to 0, which makes quadratic
# peaks and exponential tails smooth. v falls to e^-80 p, or where 1 is subtracted from it, 1e-9 p.
TAIL, SHORT_TAIL = math.sqrt(80.0), math.sqrt(20.0)
BY_TABLE = 2.0**-32  # the cost of points that are .00003 off at most


class Gate(NamedTuple):
    """A gated function in float64.

    value, slope: f and f', of arguments [count]. flexes: the points between which f is convex.
    turn: the point of the least value.
    """

    value: Function
    slope: Function
    flexes: tuple[float, float]
    turn: float


def gated(
    fn: Callable[[Tensor], Tensor],
    derivative: Callable[[Tensor], Tensor],
    gate: Gate,
    ulps: float,
    absolute: float,
) -> Curve:
    """The curve of a gated function fn, by tables.

    derivative: f', between BEFORE and BEYOND.
    """
    below, above = _from_below(gate), _from_above(gate)
    return Curve(
        fn=fn,
        derivative=lambda z: derivative(tf.clip_by_value(z, BEFORE, BEYOND)),
        critical=_critical(gate),
        below=below[1],
        above=above[1],
        start=ConcaveStart(below[0], above[0]),
        turns=(gate.turn,),
        ulps=ulps,
        absolute=absolute + BY_TABLE,
    )


def _critical(gate: Gate) -> Callable[[Tensor], list[Points]]:
    """The three points, or fewer, where f' is a slope, one for each part of f."""
    left, right = gate.flexes
    least, most = gate.slope(np.array(gate.flexes)).tolist()
    middle, half = 0.5 * (most + least), 0.5 * (most - least)

    def falling(t: Numbers) -> Numbers:
        return root(lambda z: gate.slope(z) - least * np.exp(-t * t), BEFORE, left)

    def rising(angle: Numbers) -> Numbers:
        return root(lambda z: gate.slope(z) - middle + half * np.cos(angle), left, right)

    def settling(t: Numbers) -> Numbers:
        return root(lambda z: gate.slope(z) - 1.0 - (most - 1.0) * np.exp(-t * t), right, BEYOND)

    first, second = Table(falling, TAIL), Table(rising, math.pi)
    third = Table(settling, SHORT_TAIL)

    def critical(slope: Tensor) -> list[Points]:
        angle = tf.acos(tf.clip_by_value((middle - slope) / half, -1.0, 1.0))
        return [
            first(_depth(slope / least)),
            second(angle),
            third(_depth((slope - 1.0) / (most - 1.0))),
        ]

    return critical


def _from_below(gate: Gate) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The points where lines from either concave part touch the convex one, from below.

    The arguments of tables are 1 / (1 + d), with the distance d from the convex part.
    """
    left, right = gate.flexes

    def from_left(nearness: Numbers) -> Numbers:
        return _touch(gate, left - _distance(nearness), left, gate.turn)

    def from_right(nearness: Numbers) -> Numbers:
        return _touch(gate, right + _distance(nearness), left, right)

    first, last = Table(from_left, 1.0), Table(from_right, 1.0)

    def after(lower: Tensor) -> Tensor:
        touch = first(tf.math.reciprocal(1.0 + tf.nn.relu(left - lower)))
        return tf.where(lower < left, touch, lower)

    def before(upper: Tensor) -> Tensor:
        touch = last(tf.math.reciprocal(1.0 + tf.nn.relu(upper - right)))
        return tf.where(upper > right, touch, upper)

    return after, before


def _from_above(gate: Gate) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The points where lines from ahead touch the first concave part, and from behind the last.

    Lines from beyond 0 touch neither: f is above its asymptotes 0 and z there.
    """
    left, right = gate.flexes

    def of_first(depth: Numbers) -> Numbers:
        return _touch(gate, left * np.exp(-np.square(np.maximum(depth, 0.03))), BEFORE, left)

    def of_last(depth: Numbers) -> Numbers:
        return _touch(gate, right * np.exp(-np.square(np.maximum(depth, 0.03))), right, BEYOND)

    first, last = Table(of_first, SHORT_TAIL), Table(of_last, SHORT_TAIL)

    def before(upper: Tensor) -> Tensor:
        touch = tf.where(upper < 0.0, first(_depth(upper / left)), -NEVER)
        return tf.where(upper < left, upper, touch)

    def after(lower: Tensor) -> Tensor:
        touch = tf.where(lower > 0.0, last(_depth(lower / right)), NEVER)
        return tf.where(lower > right, lower, touch)

    return before, after


def _touch(gate: Gate, start: Numbers, low: float, high: float) -> Numbers:
    """The points between low and high where lines from points of f, [count], touch f."""
    return root(
        lambda z: gate.slope(z) * (z - start) - gate.value(z) + gate.value(start), low, high
    )


def _distance(nearness: Numbers) -> Numbers:
    """The distances, neither 0 nor infinite, of which 1 / (1 + distance) is given."""
    return np.clip(1.0 / np.maximum(nearness, 1e-9) - 1.0, 1e-3, None)


def _depth(share: Tensor) -> Tensor:
    """The argument of tables for shares of a peak: 0 at the peak, and above it."""
    return tf.sqrt(-tf.math.log(tf.clip_by_value(share, TINY, 1.0)))
