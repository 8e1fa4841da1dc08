"""The smallest move, within the pixel range, onto a hyperplane: in closed form, by sorting.

Every pixel moves in the direction that helps: with rates `v = |normal|` and rooms `c`, sizes
`0 <= m <= c` are sought with `sum(v m) = rise`. Source: Croce & Hein 2020 (FAB).
"""

import math
from collections.abc import Callable

import tensorflow as tf

from rt_tf.domain import End
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

FAR = 1e18  # the room of a feature that is not limited, whose product with a slope is a number


def onto(name: str, x: Tensor, normal: Tensor, rise: Tensor, ends: tuple[End, End]) -> Tensor:
    """The move from x, within `ends`, of the least norm along which <normal, move> = rise.

    name: the threat's whose norm it is. x, normal: [batch, ...], like the move; rise: [batch].
    Where no move in the range rises that far, the one that rises farthest.
    """
    direction = tf.sign(normal) * by_example(tf.sign(rise), x.shape.rank)
    room = tf.minimum(tf.where(direction > 0.0, ends[1] - x, x - ends[0]), FAR)
    flat = [-1, math.prod(x.shape[1:])]
    rates, rooms = tf.reshape(tf.abs(normal), flat), tf.reshape(room, flat)
    sizes = SIZES[name](rates, rooms, tf.abs(rise)[:, None])
    return direction * tf.reshape(sizes, tf.shape(x))


def _even(rates: Tensor, rooms: Tensor, rise: Tensor) -> Tensor:
    """Sizes for Linf: all move equally far, up to their rooms."""
    return tf.minimum(_stretch(rates, rates * rooms, rooms, rise), rooms)


def _proportional(rates: Tensor, rooms: Tensor, rise: Tensor) -> Tensor:
    """Sizes for L2: all move in proportion to their rates, up to their rooms."""
    stretch = _stretch(tf.square(rates), rates * rooms, tf.math.divide_no_nan(rooms, rates), rise)
    return tf.minimum(stretch * rates, rooms)


def _steepest_first(rates: Tensor, rooms: Tensor, rise: Tensor) -> Tensor:
    """Sizes for L1: pixels of the highest rates move by their rooms, the last of them by a part."""
    order = tf.argsort(rates, direction="DESCENDING")
    rates, rooms = (tf.gather(values, order, batch_dims=1) for values in (rates, rooms))
    before = tf.cumsum(rates * rooms, axis=1, exclusive=True)
    sizes = tf.clip_by_value(tf.math.divide_no_nan(rise - before, rates), 0.0, rooms)
    return tf.gather(sizes, tf.argsort(order), batch_dims=1)


SIZES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "linf": _even,
    "l2": _proportional,
    "l1": _steepest_first,
}


def _stretch(slopes: Tensor, full: Tensor, limits: Tensor, rise: Tensor) -> Tensor:
    """The u at which `sum(min(slopes u, full))` is the rise, each term full from its limit on.

    The sum is concave in u: the least of its pieces, one for every number of terms that are full.
    So u is the largest of those at which single pieces are the rise.
    """
    order = tf.argsort(limits)
    slopes, full = (tf.gather(values, order, batch_dims=1) for values in (slopes, full))
    rising = tf.cumsum(slopes, axis=1, reverse=True)
    before = tf.cumsum(full, axis=1, exclusive=True)
    pieces = tf.math.divide_no_nan(rise - before, rising)
    return tf.reduce_max(pieces, axis=1, keepdims=True)
