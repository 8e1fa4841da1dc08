"""Planes around products of two values: any slopes are sound with the offsets computed here.

Over two intervals the offsets of a plane of slopes s and t are the least and the largest
`x y - s x - t y`, which lie at the corners. So the slopes may be chosen freely, and their rounding
does not matter. Source: McCormick 1976; Shi et al. 2020 (Robustness verification for transformers).
"""

import functools
import itertools

import tensorflow as tf

from rt_tf.errors import refuse_unknown
from rt_tf.network.curves.lines import SLOPES
from rt_tf.network.ops import Lines, Planes, Product, Shared, Slope, Tensor

Ends = tuple[Tensor, Tensor]
Pair = tuple[Tensor, Tensor]  # slopes in x and in y


def product_planes(x: Ends, y: Ends, slope: Slope) -> Planes:
    """The planes around x y over two intervals, elementwise; ends of each, [batch, ...].

    By a rule's name both planes are parallel, with the least gap, and touch the product's saddle at
    two corners each. A share moves a plane from McCormick's first one (0), which holds with
    equality where x or y is at its first end, to the second one (1), each where it is used.
    UserError for other names.
    """
    below, above = _chosen(x, y, slope)
    lower, upper = (
        functools.reduce(extreme, _rests(x, y, slopes))
        for extreme, slopes in ((tf.minimum, below), (tf.maximum, above))
    )
    return Planes(below, lower, above, upper)


def product_lines(x: Ends, y: Ends) -> Lines:
    """The lines in x around x y for any y of an interval, elementwise; ends of each, [batch, ...].

    The products of an x lie between the least and the largest one, which are concave and convex
    functions of x: the lines through their values at both ends are the nearest ones.
    """
    width = x[1] - x[0]
    slopes = []
    for extreme in (tf.minimum, tf.maximum):
        first, last = (extreme(end * y[0], end * y[1]) for end in x)
        slopes.append(
            tf.where(width > 0.0, (last - first) / tf.where(width > 0.0, width, 1.0), 0.0)
        )
    below, above = slopes
    lower = functools.reduce(tf.minimum, _rests(x, y, (below, tf.zeros_like(below))))
    upper = functools.reduce(tf.maximum, _rests(x, y, (above, tf.zeros_like(above))))
    return Lines(below, lower, above, upper)


def _chosen(x: Ends, y: Ends, slope: Slope) -> tuple[Pair, Pair]:
    """The slopes of the lower and of the upper plane."""
    if isinstance(slope, str):
        refuse_unknown("slope", slope, SLOPES)
        middle = (0.5 * (y[0] + y[1]), 0.5 * (x[0] + x[1]))
        return middle, middle
    share = tf.clip_by_value(slope.slope if isinstance(slope, Shared) else slope, 0.0, 1.0)
    rising = (_between(*y, share), _between(*x, share))
    if isinstance(slope, Shared):
        return rising, rising
    return rising, (_between(y[1], y[0], share), _between(*x, share))


def _rests(x: Ends, y: Ends, slopes: Pair) -> list[Tensor]:
    """The values of x y less the plane through the origin, at the four corners."""
    return [a * b - slopes[0] * a - slopes[1] * b for a, b in itertools.product(x, y)]


def _between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    return start + share * (end - start)


PRODUCT = Product(product_planes)
