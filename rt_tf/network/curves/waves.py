"""Sine and cosine, whose lines are found by search.

Errors measured: 2.9 where |z| is below 4096, where lines are computed. Points where f' is a slope
are .0005 off at most there, which costs 2 more.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import tensorflow as tf

from rt_tf.network.curves.curve import UNIT, Curve, Domain, Pair, clipped, itself, never
from rt_tf.network.ops import Tensor

PERIOD = 2.0 * math.pi
FURTHEST = 4096.0
HALVINGS = 10  # of slopes from -1 to 1, and of intervals


@dataclasses.dataclass(frozen=True)
class Wave(Curve):
    """A curve of period 2 pi, with slopes from -1 to 1.

    critical: of one period. Of the points with a slope s that are periods apart, f(z) - s z is the
    least at one end of their row, and the largest at the other.
    """

    def stationary(self, slope: Tensor, lower: Tensor, upper: Tensor) -> list[Tensor]:
        """The first and the last points of each row between the ends, each [batch, ...]."""
        points = []
        for point in self.critical(slope):
            first = point + PERIOD * tf.math.ceil((lower - point) / PERIOD)
            last = point + PERIOD * tf.floor((upper - point) / PERIOD)
            points += [clipped(z, lower, upper) for z in (first, last)]
        return points

    def extremes(self, lower: Tensor, upper: Tensor) -> Pair:
        """The least and the largest value between the ends, each [batch, ...]."""
        turns = self.stationary(tf.zeros_like(lower), lower, upper)
        values = [self.fn(z) for z in (lower, upper, *turns)]
        return functools.reduce(tf.minimum, values), functools.reduce(tf.maximum, values)


@dataclasses.dataclass(frozen=True)
class Searched:
    """The slopes of a wave's envelopes.

    lower, upper: the ends l and u, [batch, ...].
    """

    curve: Wave
    lower: Tensor
    upper: Tensor

    def parallel(self) -> Pair:
        """The slope whose two lines are nearest to each other.

        There either the convex envelope is straight where the upper line touches f, or the concave
        one where the lower line does.
        """
        still = self._without_gradient()
        half = 0.5 * (still.upper - still.lower)  # f' moves no further than z
        middle = self.curve.derivative(still.lower + half)

        def halved(least: Tensor, most: Tensor) -> Pair:
            slope = 0.5 * (least + most)
            widens = still._lowest(slope) > still._highest(slope)
            return tf.where(widens, least, slope), tf.where(widens, slope, most)

        ends = tf.maximum(middle - half, -1.0), tf.minimum(middle + half, 1.0)
        least, _ = _repeated(halved, ends)
        below, above = self._below(still._highest(least)), self._above(still._lowest(least))
        slope = tf.where(tf.abs(below - least) < tf.abs(above - least), below, above)
        return slope, slope

    def adaptive(self) -> Pair:
        """The slopes of both envelopes in the middle, where these lines are nearest to f."""
        middle = 0.5 * (self.lower + self.upper)
        return self._below(middle), self._above(middle)

    def optimised(self, share: Tensor) -> Pair:
        """The convex envelope's slope, from the one at l to the one at u; the concave's midway."""
        first, last = self._below(self.lower), self._below(self.upper)
        return first + share * (last - first), self._above(0.5 * (self.lower + self.upper))

    def shared(self, share: Tensor) -> Pair:
        """One slope for both lines, from both envelopes' least to their largest."""
        least = tf.minimum(self._below(self.lower), self._above(self.upper))
        most = tf.maximum(self._below(self.upper), self._above(self.lower))
        slope = least + share * (most - least)
        return slope, slope

    def _below(self, at: Tensor) -> Tensor:
        return self._envelope(at, Searched._lowest)

    def _above(self, at: Tensor) -> Tensor:
        return self._envelope(at, Searched._highest)

    def _envelope(self, at: Tensor, furthest: Callable[["Searched", Tensor], Tensor]) -> Tensor:
        """The slope of an envelope at a point: of the chord of f around it that f does not cross.

        furthest: gives the point where f is furthest beyond a line of a slope. Chords to it are
        nearer to the envelope; where they become short, f is its own envelope. A chord's slope is
        stationary in the points where it touches f, so that these need no gradient.
        """
        still, place = self._without_gradient(), tf.stop_gradient(at)
        width = still.upper - still.lower

        def nearer(start: Tensor, end: Tensor) -> Pair:
            slope = self.curve.chord(start, end)
            touch = furthest(still, slope)
            gain = tf.abs(still._height(touch, slope) - still._height(start, slope))
            crosses = gain > 2.0**-22 * (1.0 + width)  # more than rounding
            start = tf.where(crosses & (touch <= place), touch, start)
            return start, tf.where(crosses & (touch >= place), touch, end)

        start, end = _repeated(nearer, (still.lower, still.upper))
        short = end - start < tf.minimum(0.1, width / 8.0)
        start = tf.where(start <= still.lower, self.lower, start)
        end = tf.where(end >= still.upper, self.upper, end)
        return tf.where(short, self.curve.derivative(at), self.curve.chord(start, end))

    def _without_gradient(self) -> "Searched":
        ends = (tf.stop_gradient(end) for end in (self.lower, self.upper))
        return Searched(self.curve, *ends)

    def _lowest(self, slope: Tensor) -> Tensor:
        """The point where f(z) - s z is least."""
        return self._extreme(tf.less, slope)

    def _highest(self, slope: Tensor) -> Tensor:
        """The point where f(z) - s z is largest."""
        return self._extreme(tf.greater, slope)

    def _extreme(self, is_beyond: Callable[[Tensor, Tensor], Tensor], slope: Tensor) -> Tensor:
        """The point whose f(z) - s z is beyond the others'."""
        ends = [self.lower, self.upper]
        points = [*ends, *self.curve.stationary(slope, *ends)]
        best, height = points[0], self._height(points[0], slope)
        for point in points[1:]:
            other = self._height(point, slope)
            beyond = is_beyond(other, height)
            best, height = tf.where(beyond, point, best), tf.where(beyond, other, height)
        return best

    def _height(self, z: Tensor, slope: Tensor) -> Tensor:
        """The difference f(z) - s (z - l), whose terms are small."""
        return self.curve.fn(z) - slope * (z - self.lower)


def _repeated(body: Callable[[Tensor, Tensor], Pair], pair: Pair) -> Pair:
    """A pair of tensors after HALVINGS calls of the body, without gradient."""
    return tf.while_loop(lambda *_: True, body, pair, maximum_iterations=HALVINGS)


def _wave(
    fn: Callable[[Tensor], Tensor],
    derivative: Callable[[Tensor], Tensor],
    critical: Callable[[Tensor], list[Tensor]],
) -> Wave:
    return Wave(
        fn=fn,
        derivative=derivative,
        critical=lambda slope: critical(tf.clip_by_value(slope, -1.0, 1.0)),
        below=itself,
        above=never,
        turns=(),
        domain=Domain(
            f"inputs of size {FURTHEST:.0f} or less",
            lambda lower, upper: (lower >= -FURTHEST) & (upper <= FURTHEST),
            inside=0.0,
            bound=1.0,
        ),
        ulps=12.0,
        absolute=4.0 * UNIT,
    )


def _sine_stationary(slope: Tensor) -> list[Tensor]:
    z = tf.acos(slope)
    return [-z, z]


def _cosine_stationary(slope: Tensor) -> list[Tensor]:
    z = tf.asin(slope)
    return [-z, z + math.pi]


SIN = _wave(tf.sin, tf.cos, _sine_stationary)
COS = _wave(tf.cos, lambda z: -tf.sin(z), _cosine_stationary)
