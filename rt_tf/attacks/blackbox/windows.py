"""Windows of images and patterns on them, for attacks that move place after place."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.attacks.ascent import chosen
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

# Windows shrink from .8 of the pixels' number, halved at these queries of ten thousand.
SHARE = 0.8
HALVED = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def sides(height: int, width: int, queries: int, least: int = 1, odd: bool = False) -> np.ndarray:
    """The windows' sides at every query: [queries], of at least `least` where there is room.

    Source: Andriushchenko et al. 2020; with the p = .8 of Croce & Hein 2020.
    """
    room = min(height, width)
    queried = np.arange(queries) * 10000 // max(queries, 1)
    share = SHARE / 2.0 ** np.searchsorted(HALVED, queried)
    side = np.clip(np.rint(np.sqrt(share * height * width)), min(least, room), room).astype(int)
    return np.where(side % 2 == 0, np.where(side < room, side + 1, side - 1), side) if odd else side


def offsets(height: int, width: int, side: Tensor, chances: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels' rows and columns in a random window: [batch, height, 1] and [batch, 1, width].

    chances: [batch, 2], uniform in [0, 1). Outside of the window they are below 0 or from side
    on.
    """
    sizes = tf.constant([height, width])
    free = tf.cast(sizes - side + 1, chances.dtype)
    corner = tf.minimum(tf.cast(chances * free, tf.int32), sizes - side)
    rows = tf.range(height) - corner[:, :1]
    columns = tf.range(width) - corner[:, 1:]
    return rows[:, :, None], columns[:, None, :]


def covered(rows: Tensor, columns: Tensor, side: Tensor) -> Tensor:
    """Whether pixels lie in the window: [batch, height, width, 1]."""
    within = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    return within[..., None]


def at_an_end(region: Region, x: Tensor, within: Tensor, up: Tensor) -> Tensor:
    """x with some values at one end of the Linf ball: the other if they are there: [batch, ...].

    within: which values. up: which end. Both are truth values that broadcast to x.
    """
    lower, upper = region.box()
    new = tf.where(within, tf.where(up, upper, lower), x)
    other = tf.where(within, tf.where(up, lower, upper), x)
    same = tf.reduce_all(new == x, axis=list(range(1, x.shape.rank)))
    return chosen(same, other, new)


def mountains(rows: Tensor, columns: Tensor, side: Tensor | int) -> Tensor:
    """Two peaks of opposite signs, one beside the other: [batch, height, width, 1].

    Each falls with the distance from its middle. Meaningless outside of the window. Source:
    Andriushchenko et al. 2020, L2's update: `sum(1 / (n + 1 - k)^2, k = 0..M)`, where `n - M` is
    the distance; that is the difference of two sums of inverse squares.
    """
    half = side // 2
    first = columns < half
    middle = tf.where(first, half // 2, half + (side - half) // 2)
    distance = tf.maximum(tf.abs(rows - half), tf.abs(columns - middle))
    largest = max(rows.shape[1], columns.shape[2])
    sums = tf.constant(np.cumsum([0.0, *(1.0 / np.arange(1.0, largest + 2.0) ** 2)]), tf.float32)
    height = sums[half + 1] - tf.gather(sums, tf.minimum(distance, largest))
    return tf.where(first, height, -height)[..., None]


class Tiles(NamedTuple):
    """An image's tiles, numbered.

    tile: the number of each pixel's tile, [height, width]. rows, columns: a pixel's place in
    its tile, [1, height, 1] and [1, 1, width]. side: of the largest tile.
    """

    tile: np.ndarray
    rows: Tensor
    columns: Tensor
    side: int


def tiles(height: int, width: int, count: int) -> Tiles:
    """Tiles in `count` rows and columns: fewer where there are fewer pixels."""
    row, column = (np.arange(size) * count // size for size in (height, width))
    rows = np.arange(height) - np.searchsorted(row, row)
    columns = np.arange(width) - np.searchsorted(column, column)
    return Tiles(
        count * row[:, None] + column,
        tf.constant(rows[None, :, None], tf.int32),
        tf.constant(columns[None, None, :], tf.int32),
        int(max(rows.max(), columns.max())) + 1,
    )
