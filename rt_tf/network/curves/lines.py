"""Lines around curves, of slopes by a rule, by numbers, or optimised."""

from typing import Protocol

import tensorflow as tf

from rt_tf.errors import refuse_unknown
from rt_tf.network.curves.curve import Curve, Domain, Pair
from rt_tf.network.curves.envelopes import envelopes
from rt_tf.network.curves.waves import Searched, Wave
from rt_tf.network.ops import Lines, Shared, Slope, Tensor

SLOPES = ("parallel", "adaptive")
FAR = 2.0**120  # an offset that says nothing, with room for products
STEEP = 2.0**110  # the largest product of a slope and an input


class Slopes(Protocol):
    """The slopes of the lower and the upper line on an interval, elementwise, by each rule."""

    def parallel(self) -> Pair:
        """One slope for both, with the least distance between the lines."""

    def adaptive(self) -> Pair:
        """The slopes of the lines nearest to the function in the middle (CROWN)."""

    def optimised(self, share: Tensor) -> Pair:
        """The lower slope, from the least useful (share 0) to the largest (1), elementwise."""

    def shared(self, share: Tensor) -> Pair:
        """One slope for both, from the least useful (share 0) to the largest (1), elementwise."""


def chosen(slopes: Slopes, slope: Slope) -> Pair:
    """The slopes by a rule's name, a tensor or `Shared`; UserError for other names."""
    if isinstance(slope, Shared):
        return slopes.shared(slope.slope)
    if not isinstance(slope, str):
        return slopes.optimised(slope)
    refuse_unknown("slope", slope, SLOPES)
    return slopes.parallel() if slope == "parallel" else slopes.adaptive()


def _slopes(curve: Curve, lower: Tensor, upper: Tensor, steepest: Tensor | None = None) -> Slopes:
    """The slopes by each rule; steepest: see `Envelopes`."""
    if isinstance(curve, Wave):
        return Searched(curve, lower, upper)
    return envelopes(curve, lower, upper, steepest)


def curve_lines(curve: Curve, lower: Tensor, upper: Tensor, slope: Slope) -> Lines:
    """The lines around any curve between lower and upper ends, each [batch, ...]."""
    return curve.lines(lower, upper, chosen(_slopes(curve, lower, upper), slope))


def lines_in_domain(
    curve: Curve, within: Domain, lower: Tensor, upper: Tensor, slope: Slope
) -> Lines:
    """The lines around a curve of limited domain, each [batch, ...].

    Intervals that leave the domain get flat lines; of a function that is not bounded there, so far
    away that they say nothing, and yet no infinite number, which would turn into NaN.
    """
    far = min(within.bound, FAR)
    defined = within.holds(lower, upper)
    lower, upper = (tf.where(defined, end, within.inside) for end in (lower, upper))
    steepest = STEEP / (1.0 + tf.maximum(tf.abs(lower), tf.abs(upper)))
    slopes = chosen(_slopes(curve, lower, upper, steepest), slope)
    lines = curve.lines(lower, upper, slopes)
    below = tf.where(defined, lines.lower_slope, 0.0)
    parallel = lines.upper_slope is lines.lower_slope
    return Lines(
        below,
        tf.where(defined, lines.lower_offset, -far),
        below if parallel else tf.where(defined, lines.upper_slope, 0.0),
        tf.where(defined, lines.upper_offset, far),
    )


def extremes_in_domain(curve: Curve, within: Domain, lower: Tensor, upper: Tensor) -> Pair:
    """The least and the largest value of a curve between ends, each [batch, ...].

    They are the domain's bound where an interval leaves it.
    """
    defined = within.holds(lower, upper)
    inside = (tf.where(defined, end, within.inside) for end in (lower, upper))
    least, most = curve.extremes(*inside)
    return tf.where(defined, least, -within.bound), tf.where(defined, most, within.bound)
