"""The Square attack's way on the rows of a table, within Linf: runs of columns for windows."""

import math

import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.blackbox.windows import at_an_end
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region


def side_of(columns: int) -> int:
    """The side of the square that has room for so many columns."""
    return math.ceil(math.sqrt(columns))


def begin(region: Region, keys: Tensor) -> Tensor:
    """Every column at one end of the ball: [batch, columns]. keys: [batch, 2]."""
    lower, upper = region.box()
    return tf.where(noise.uniform(keys, region.x.shape[1:]) < 0.5, lower, upper)


def propose(region: Region, x: Tensor, side: Tensor, keys: Tensor) -> Tensor:
    """x with a run of side * side columns at one end of the ball: the other if it is there.

    x: [batch, columns], as the result; a run goes on at the first column. side: a scalar. keys:
    [batch, 2].
    """
    columns = x.shape[1]
    chances = noise.uniform(keys, [2])
    first = tf.cast(chances[:, :1] * columns, tf.int32)
    run = (tf.range(columns) - first) % columns < side * side
    return at_an_end(region, x, run, chances[:, 1:] < 0.5)
