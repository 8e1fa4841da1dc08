"""Moves of the Square attack in L2 and L1: one window's share of the radius goes to another.

Source: Andriushchenko et al. 2020 (Square attack), algorithm 3.
"""

import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.blackbox.windows import covered, mountains, offsets, tiles
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

LEAST = {"l2": 3, "l1": 1}  # side of a window
ORDERS = {"l2": 2, "l1": 1}
TILES = 5  # in a row and in a column, where a search begins


def begin(region: Region, keys: Tensor) -> Tensor:
    """Points [batch, ...] with mountains of random signs on every tile, at the edge of the ball."""
    height, width, channels = region.x.shape[1:]
    tile, rows, columns, tile_side = tiles(height, width, TILES)
    shape = mountains(rows, columns, tile_side)
    signs = _signs(noise.uniform(keys, [TILES * TILES, channels]))
    return _at_edge(region, shape * tf.gather(signs, tile, axis=1))


def propose(region: Region, x: Tensor, side: Tensor, keys: Tensor) -> Tensor:
    """x with mountains added in one window: [batch, ...].

    They take the radius of that window, of another one, which is emptied, and a share of the
    rest.
    """
    height, width, channels = x.shape[1:]
    chances = noise.uniform(keys, [5 + channels])
    order, move = ORDERS[region.threat.name], x - region.x
    rows, columns = offsets(height, width, side, chances[:, :2])
    window = covered(rows, columns, side)
    source = covered(*offsets(height, width, side, chances[:, 2:4]), side)
    shape = _either_way(rows, columns, side, chances[:, 4]) * _signs(chances[:, None, None, 5:])
    hills = [_unit(tf.where(window, part, 0.0), order) for part in (shape, move)]
    size = _budget(region, move, window | source, order)  # [batch, 1, 1, channels]
    others = tf.where(source, 0.0, move)
    return _at_edge(region, tf.where(window, size * _unit(sum(hills), order), others))


def _either_way(rows: Tensor, columns: Tensor, side: Tensor, chance: Tensor) -> Tensor:
    """Mountains beside each other, or one above the other."""
    beside = chance[:, tf.newaxis, tf.newaxis] < 0.5
    return mountains(tf.where(beside, rows, columns), tf.where(beside, columns, rows), side)


def _budget(region: Region, move: Tensor, windows: Tensor, order: int) -> Tensor:
    """The norm to spend in each channel: its own in the windows, and an even share of the rest."""
    free = region.radius() ** order - _power(move, order, [1, 2, 3])
    inside = _power(tf.where(windows, move, 0.0), order, [1, 2])
    return _root(inside + tf.nn.relu(free) / move.shape[3], order)


def _at_edge(region: Region, move: Tensor) -> Tensor:
    """The move stretched to the radius, and cut off at the ends of the pixel range.

    Summed in float64, so that the region has the point without another projection.
    """
    order = ORDERS[region.threat.name]
    size = _root(_power(tf.cast(move, tf.float64), order, [1, 2, 3]), order)
    factor = tf.math.divide_no_nan(tf.cast(region.radius(), tf.float64), size)
    x = region.x + tf.cast(factor, move.dtype) * move
    return tf.clip_by_value(x, region.lower, region.upper)


def _unit(values: Tensor, order: int) -> Tensor:
    """The values over their norm, channel by channel; zero where that is zero."""
    return tf.math.divide_no_nan(values, _root(_power(values, order, [1, 2]), order))


def _power(values: Tensor, order: int, axes: list[int]) -> Tensor:
    """The norm to the power of its order, its axes kept."""
    powers = tf.square(values) if order == 2 else tf.abs(values)
    return tf.reduce_sum(powers, axis=axes, keepdims=True)


def _root(power: Tensor, order: int) -> Tensor:
    return tf.sqrt(power) if order == 2 else power


def _signs(chances: Tensor) -> Tensor:
    return tf.where(chances < 0.5, -1.0, 1.0)
