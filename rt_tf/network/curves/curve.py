"""Lines around an elementwise function: any slope is sound with the offsets computed here.

Between l and u the offsets of a line of slope s are the least and the largest f(z) - s z. Both lie
at an end, at a kink, or where f'(z) = s. So the slopes may be chosen freely, with or without
gradients, and their rounding does not matter. They are chosen from the convex and the concave
envelope of f.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from rt_tf.network.ops import Lines, Tensor

UNIT = 2.0**-24
TINY = 2.0**-126
NEVER = float("inf")  # a touching point beyond every interval
NARROW = 1e-18  # narrower intervals count as points: a division by their width would overflow

Points: TypeAlias = Tensor | float
Pair: TypeAlias = tuple[Tensor, Tensor]  # of the lower and of the upper line, or of two ends


class Domain(NamedTuple):
    """The intervals on which lines around a function are computed.

    words: the domain as messages tell it. holds: whether an interval lies in it, elementwise;
    False for NaN. inside: a point of it. bound: of |f| elsewhere.
    """

    words: str
    holds: Callable[[Tensor, Tensor], Tensor]
    inside: float = 1.0
    bound: float = NEVER


class ConcaveStart(NamedTuple):
    """The touching points of a curve that is concave before it is convex.

    below(l): where a line from (l, f(l)) touches f from below, l itself where f is convex.
    above(u): where a line from (u, f(u)) touches f from above on its first concave part, u itself
    where f is concave up to u.
    """

    below: Callable[[Tensor], Points]
    above: Callable[[Tensor], Points]


@dataclasses.dataclass(frozen=True)
class Curve:
    """A function that is convex, concave, or convex up to a point and concave from there.

    derivative: f', of either side at a kink. critical(s): the kinks, and where f' is s. below(u):
    where a line from (u, f(u)) touches f from below, u itself where f is convex. above(l): where a
    line from (l, f(l)) touches f from above. start: of a function that is concave before that.
    turns: the points where f changes between falling and rising, if it falls anywhere. domain: None
    for all numbers. ulps, absolute: see `ops.Activation`.
    """

    fn: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    critical: Callable[[Tensor], list[Points]]
    below: Callable[[Tensor], Points]
    above: Callable[[Tensor], Points]
    start: ConcaveStart | None = None
    turns: tuple[float, ...] | None = None
    domain: Domain | None = None
    ulps: float = 0.0
    absolute: float = 0.0

    def lines(self, lower: Tensor, upper: Tensor, slopes: Pair) -> Lines:
        """The lines of a lower and an upper slope around f from `lower` to `upper`, elementwise."""
        below, above = slopes
        lower_offset = self._offset(tf.minimum, lower, upper, below)
        return Lines(below, lower_offset, above, self._offset(tf.maximum, lower, upper, above))

    def extremes(self, lower: Tensor, upper: Tensor) -> Pair:
        """The least and the largest value of f between the ends, which lie in its domain."""
        turns = [] if self.turns is None else [clipped(t, lower, upper) for t in self.turns]
        values = [self.fn(z) for z in (lower, upper, *turns)]
        if self.turns is None:
            return values[0], values[1]
        return functools.reduce(tf.minimum, values), functools.reduce(tf.maximum, values)

    def chord(self, start: Tensor, end: Tensor) -> Tensor:
        """The slopes of f between points of any shape, elementwise.

        Those of f' where a quotient has less than 10 true bits.
        """
        first, last = self.fn(start), self.fn(end)
        error = self.ulps * UNIT * (tf.abs(first) + tf.abs(last)) + self.absolute
        width, height = end - start, last - first
        apart = (width > NARROW) & (tf.maximum(width, tf.abs(height)) > 2.0**10 * error)
        quotient = height / tf.where(apart, width, tf.ones_like(width))
        return tf.where(apart, quotient, self.derivative(0.5 * start + 0.5 * end))

    def stationary(self, slope: Tensor, lower: Tensor, upper: Tensor) -> list[Tensor]:
        """Points between the ends where f(z) - s z may have its extremes, if not at an end."""
        return [clipped(point, lower, upper) for point in self.critical(slope)]

    def _offset(
        self, extreme: Callable[..., Tensor], lower: Tensor, upper: Tensor, slope: Tensor
    ) -> Tensor:
        """The extreme of f(z) - s z. Its gradient in s is -z: critical points need none."""
        points = [lower, upper, *self.stationary(tf.stop_gradient(slope), lower, upper)]
        return functools.reduce(extreme, [self.fn(z) - slope * z for z in points])


def clipped(points: Points, lower: Tensor, upper: Tensor) -> Tensor:
    """Points, moved into the intervals between lower and upper ends."""
    return tf.minimum(tf.maximum(points, lower), upper)


def positive(slope: Tensor) -> Tensor:
    """Slopes, none of them below the least normal number."""
    return tf.maximum(slope, TINY)


def itself(end: Tensor) -> Tensor:
    """The touching point of lines that begin where they touch."""
    return end


def never(end: Tensor) -> float:
    """The touching point, beyond every interval, of lines from `end` that touch nothing ahead."""
    return NEVER


def never_before(end: Tensor) -> float:
    """The touching point, before every interval, of lines from `end` that touch nothing behind."""
    return -NEVER
