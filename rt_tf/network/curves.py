"""Lines around a nondecreasing function: any slope is sound with the offsets computed here.

Between l and u the offsets of a line of slope s are the least and the largest f(z) - s z. Both lie
at an end, at a kink, or where f'(z) = s. So the slopes may be chosen freely, with or without
gradients, and their rounding does not matter. They are chosen from the convex and the concave
envelope of f.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from rt_tf.network.ops import Lines, Tensor

UNIT = 2.0**-24
NARROW = 1e-18  # narrower intervals count as points: a division by their width would overflow

Points: TypeAlias = Tensor | float
Pair: TypeAlias = tuple[Tensor, Tensor]  # slopes of the lower and of the upper line


@dataclasses.dataclass(frozen=True)
class Curve:
    """A nondecreasing function: convex, concave, or convex up to a point and concave from there.

    derivative: f', of either side at a kink. critical(s): the kinks, and where f' is s. below(u):
    where a line from (u, f(u)) touches f from below, u itself where f is convex. above(l): where a
    line from (l, f(l)) touches f from above. ulps, absolute: see `ops.Activation`.
    """

    fn: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    critical: Callable[[Tensor], list[Points]]
    below: Callable[[Tensor], Points]
    above: Callable[[Tensor], Points]
    ulps: float = 0.0
    absolute: float = 0.0

    def lines(self, lower: Tensor, upper: Tensor, slopes: Pair) -> Lines:
        """The lines of a lower and an upper slope around f from `lower` to `upper`, elementwise."""
        below, above = slopes
        lower_offset = self._offset(tf.minimum, lower, upper, below)
        return Lines(below, lower_offset, above, self._offset(tf.maximum, lower, upper, above))

    def chord(self, start: Tensor, end: Tensor) -> Tensor:
        """The slopes of f between points of any shape, elementwise.

        Those of f' where a quotient has less than 10 true bits.
        """
        first, last = self.fn(start), self.fn(end)
        error = self.ulps * UNIT * (tf.abs(first) + tf.abs(last)) + self.absolute
        width = end - start
        apart = width > NARROW + 2.0**10 * error
        quotient = (last - first) / tf.where(apart, width, tf.ones_like(width))
        return tf.where(apart, quotient, self.derivative(0.5 * start + 0.5 * end))

    def _offset(
        self, extreme: Callable[..., Tensor], lower: Tensor, upper: Tensor, slope: Tensor
    ) -> Tensor:
        """The extreme of f(z) - s z. Its gradient in s is -z: critical points need none."""
        inside = self.critical(tf.stop_gradient(slope))
        points = [lower, upper, *(_clipped(point, lower, upper) for point in inside)]
        return functools.reduce(extreme, [self.fn(z) - slope * z for z in points])


@dataclasses.dataclass(frozen=True)
class Envelopes:
    """Slopes of the convex envelope (the largest convex function below f) and the concave one.

    lower, upper: the ends l and u, [batch, ...]. All is elementwise; shares, from 0 to 1, broadcast
    against the ends.
    """

    curve: Curve
    lower: Tensor
    upper: Tensor

    def parallel(self) -> Pair:
        """The slope whose two lines are nearest to each other.

        Between flatter lines than a tangent from an end, f rises from the lower one to the upper
        one, and between steeper ones it falls: they are nearest in between.
        """
        slope = tf.minimum(self._below(self.upper), self._above(self.lower))
        return slope, slope

    def adaptive(self) -> Pair:
        """The slopes of both envelopes in the middle, where these lines are nearest to f."""
        middle = self._middle()
        return self._below(middle), self._above(middle)

    def optimised(self, share: Tensor) -> Pair:
        """The convex envelope's slope, from the one at l to the one at u; the concave's midway."""
        lower = _between(self._below(self.lower), self._below(self.upper), share)
        return lower, self._above(self._middle())

    def shared(self, share: Tensor) -> Pair:
        """One slope for both lines, from both envelopes' least to their largest."""
        least = tf.minimum(self._below(self.lower), self._above(self.upper))
        most = tf.maximum(self._below(self.upper), self._above(self.lower))
        slope = _between(least, most, share)
        return slope, slope

    def _below(self, at: Tensor) -> Tensor:
        """The convex envelope's slope: f's own up to the touching point, then the chord's to u."""
        touch = self._inside(self.curve.below(self.upper))
        chord = self.curve.chord(touch, self.upper)
        return tf.where(at < touch, self.curve.derivative(at), chord)

    def _above(self, at: Tensor) -> Tensor:
        """The concave envelope's slope: the chord's from l, then from the touching point f's."""
        touch = self._inside(self.curve.above(self.lower))
        chord = self.curve.chord(self.lower, touch)
        return tf.where(at > touch, self.curve.derivative(at), chord)

    def _middle(self) -> Tensor:
        return 0.5 * self.lower + 0.5 * self.upper

    def _inside(self, points: Points) -> Tensor:
        return _clipped(points, self.lower, self.upper)


def _between(least: Tensor, most: Tensor, share: Tensor) -> Tensor:
    return least + share * (most - least)


def _clipped(points: Points, lower: Tensor, upper: Tensor) -> Tensor:
    return tf.minimum(tf.maximum(points, lower), upper)
