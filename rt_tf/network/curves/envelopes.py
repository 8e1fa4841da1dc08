"""Slopes of lines on an interval: those of the convex and of the concave envelope of a function.

The convex envelope is the largest convex function below f, the concave one the least concave
function above f. All is elementwise; shares, from 0 to 1, broadcast against the ends.
"""

import dataclasses

import tensorflow as tf

from rt_tf.network.curves.curve import Curve, Pair, Points, clipped
from rt_tf.network.ops import Tensor


@dataclasses.dataclass(frozen=True)
class Envelopes:
    """The envelopes of a curve that is convex, concave, or convex and then concave.

    lower, upper: the ends l and u, [batch, ...]. steepest: the largest slope, [batch, ...], of
    functions whose slopes times their inputs may overflow.
    """

    curve: Curve
    lower: Tensor
    upper: Tensor
    steepest: Tensor | None = None

    def parallel(self) -> Pair:
        """The slope whose two lines are nearest to each other.

        Between flatter lines than a tangent from an end, f rises from the lower one to the upper
        one, and between steeper ones it falls: they are nearest in between.
        """
        slope = tf.minimum(self.below(self.upper), self.above(self.lower))
        return slope, slope

    def adaptive(self) -> Pair:
        """The slopes of both envelopes in the middle, where these lines are nearest to f."""
        middle = self._middle()
        return self.below(middle), self.above(middle)

    def optimised(self, share: Tensor) -> Pair:
        """The convex envelope's slope, from the one at l to the one at u; the concave's midway."""
        lower = _between(self.below(self.lower), self.below(self.upper), share)
        return lower, self.above(self._middle())

    def shared(self, share: Tensor) -> Pair:
        """One slope for both lines, from both envelopes' least to their largest."""
        least = tf.minimum(self.below(self.lower), self.above(self.upper))
        most = tf.maximum(self.below(self.upper), self.above(self.lower))
        slope = _between(least, most, share)
        return slope, slope

    def below(self, at: Tensor) -> Tensor:
        """The convex envelope's slope: f's own up to the touching point, then the chord's to u."""
        touch = self._inside(self.curve.below(self.upper))
        chord = self.curve.chord(touch, self.upper)
        return self._limited(tf.where(at < touch, self.curve.derivative(at), chord))

    def above(self, at: Tensor) -> Tensor:
        """The concave envelope's slope: the chord's from l, then from the touching point f's."""
        touch = self._inside(self.curve.above(self.lower))
        chord = self.curve.chord(self.lower, touch)
        return self._limited(tf.where(at > touch, self.curve.derivative(at), chord))

    def _middle(self) -> Tensor:
        return 0.5 * self.lower + 0.5 * self.upper

    def _inside(self, points: Points) -> Tensor:
        return clipped(points, self.lower, self.upper)

    def _limited(self, slope: Tensor) -> Tensor:
        if self.steepest is None:
            return slope
        return tf.clip_by_value(slope, -self.steepest, self.steepest)


@dataclasses.dataclass(frozen=True)
class ConcaveFirst(Envelopes):
    """The envelopes of a curve that is concave before it is convex, and perhaps concave again.

    No line touches both concave parts from above: on the first f falls where it rises on the last,
    or there is no last.
    """

    def parallel(self) -> Pair:
        """The slope whose two lines are nearest to each other: as for what is convex first.

        Without the last concave part it is the mirror image of that.
        """
        rising = tf.minimum(self.below(self.upper), self.above(self.lower))
        falling = tf.maximum(self.below(self.lower), self.above(self.upper))
        slope = tf.where(self._touches_last(), rising, falling)
        return slope, slope

    def below(self, at: Tensor) -> Tensor:
        """The convex envelope's slope: a chord's from l, f's own, and a chord's to u."""
        assert self.curve.start is not None
        first = self._inside(self.curve.start.below(self.lower))
        last = self._inside(self.curve.below(self.upper))
        crossed = first > last  # then the envelope is the chord from l to u
        first = tf.where(crossed, self.upper, first)
        last = tf.where(crossed, self.upper, last)
        after = tf.where(at < last, self.curve.derivative(at), self.curve.chord(last, self.upper))
        return self._limited(tf.where(at <= first, self.curve.chord(self.lower, first), after))

    def above(self, at: Tensor) -> Tensor:
        """The concave envelope's slope: of the chord from l to the last part, and that part.

        Where this chord does not touch f before u, of the first part and the chord to u.
        """
        assert self.curve.start is not None
        last = self._inside(self.curve.above(self.lower))
        first = self._inside(self.curve.start.above(self.upper))
        touches = self._touches_last()
        start, end = tf.where(touches, self.lower, first), tf.where(touches, last, self.upper)
        straight = (at >= start) & (at <= end)
        slope = tf.where(straight, self.curve.chord(start, end), self.curve.derivative(at))
        return self._limited(slope)

    def _touches_last(self) -> Tensor:
        return self.curve.above(self.lower) <= self.upper


def envelopes(
    curve: Curve, lower: Tensor, upper: Tensor, steepest: Tensor | None = None
) -> Envelopes:
    """The envelopes of a curve between lower and upper ends, each [batch, ...]."""
    kind = Envelopes if curve.start is None else ConcaveFirst
    return kind(curve, lower, upper, steepest)


def _between(least: Tensor, most: Tensor, share: Tensor) -> Tensor:
    return least + share * (most - least)
