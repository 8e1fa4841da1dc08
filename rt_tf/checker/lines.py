"""Lines around a ReLU on an interval: `lower z <= relu(z) <= upper z + offset`.

A leaky one is `leak z + (1 - leak) relu(z)`, and so are its lines.
"""

from typing import NamedTuple

import numpy as np

from rt_tf.checker.rounding import OWN_UNIT

LINE_RULES = ("adaptive", "parallel")


class Lines(NamedTuple):
    """Slopes and the upper line's offset, each [1 or rows, units]; the lower line's is 0."""

    lower: np.ndarray
    upper: np.ndarray
    offset: np.ndarray


class Given(NamedTuple):
    """Slopes in [0, 1] in place of the rule's. known: [units] bool, whose are given.

    slopes: [rows, units], of the lower line; shared: of both.
    """

    slopes: np.ndarray
    known: np.ndarray
    shared: bool


def by_rule(lower: np.ndarray, upper: np.ndarray, rule: str, leak: float = 0.0) -> Lines:
    """Lines by `adaptive` or `parallel`, of ends [1 or rows, units]."""
    return with_given(lower, upper, rule, None, leak)


def with_given(
    lower: np.ndarray, upper: np.ndarray, rule: str, given: Given | None, leak: float = 0.0
) -> Lines:
    """Lines by a rule, or by the slopes in `given` at those unstable units that have some.

    lower, upper: ends, [1 or rows, units]. leak: the function's slope below 0.
    """
    unstable = (lower < 0.0) & (upper > 0.0)
    stable = (lower >= 0.0).astype(np.float64)
    face = np.where(unstable, upper / np.where(unstable, upper - lower, 1.0), stable)
    steep = np.where(unstable, upper > -lower, stable)
    below, above = (steep if rule == "adaptive" else face), face
    if given is not None:
        used = unstable & given.known
        below = np.where(used, given.slopes, below)
        above = np.where(used, given.slopes, above) if given.shared else above
    lines = Lines(below, above, _offset(lower, upper, above))
    return _leaky(lines, np.maximum(np.abs(lower), np.abs(upper)), leak) if leak else lines


def _leaky(lines: Lines, size: np.ndarray, leak: float) -> Lines:
    """The lines of a leaky ReLU from those of a ReLU. size: of the ends, [1 or rows, units].

    What the slopes round by is in the offset of the upper line, and for the lower one in the price
    of the activation's rounding.
    """
    below, above = (leak + (1.0 - leak) * slope for slope in (lines.lower, lines.upper))
    return Lines(below, above, (1.0 - leak) * lines.offset + 8.0 * OWN_UNIT * size)


def _offset(lower: np.ndarray, upper: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The offset that lifts a line of a slope in [0, 1] above relu at both ends, rounded up.

    The line is above relu in between as well.
    """
    at_lower = np.maximum(lower, 0.0) - slope * lower
    at_upper = np.maximum(upper, 0.0) - slope * upper
    rounded = 4.0 * OWN_UNIT * np.maximum(np.abs(lower), np.abs(upper))
    offset = np.maximum(at_lower, at_upper) + rounded
    exact = (slope == (lower >= 0.0)) & ((lower >= 0.0) | (upper <= 0.0))
    return np.where(exact, 0.0, offset)
