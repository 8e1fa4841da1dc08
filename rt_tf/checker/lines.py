"""Lines around a ReLU on an interval: `lower z <= relu(z) <= upper z + offset`."""

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


def by_rule(lower: np.ndarray, upper: np.ndarray, rule: str) -> Lines:
    """Lines by `adaptive` or `parallel`, of ends [1 or rows, units]."""
    return with_given(lower, upper, rule, None)


def with_given(lower: np.ndarray, upper: np.ndarray, rule: str, given: Given | None) -> Lines:
    """Lines by a rule, or by the slopes in `given` at those unstable units that have some.

    lower, upper: ends, [1 or rows, units].
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
    return Lines(below, above, _offset(lower, upper, above))


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
