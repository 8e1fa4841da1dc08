"""The Square attack: random search, window by window, without gradients.

Source: Andriushchenko et al. 2020 (Square attack), algorithms 1 to 3. For L1 it takes L2's way in
the L1 norm, like Croce & Hein 2021 (Mind the box).
"""

import math
from collections.abc import Callable

import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.ascent import chosen, loop_until_done, skip_empty_batch
from rt_tf.attacks.best_point import each
from rt_tf.attacks.blackbox import square_lp, square_table
from rt_tf.attacks.blackbox.windows import at_an_end, covered, offsets, sides
from rt_tf.attacks.targets import signed_margin
from rt_tf.attacks.task import Task
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

FIRST = 1  # the draw of random numbers for the first query

Begin = Callable[[Region, Tensor], Tensor]  # region, keys -> points
Propose = Callable[[Region, Tensor, Tensor, Tensor], Tensor]  # region, x, side, keys -> points


@skip_empty_batch
def square(task: Task, start: Tensor, *, steps: int, step_size: float = 0.0) -> Tensor:
    """The counterexample by example, else the point of the highest margin: [batch, ...].

    steps: queries, at one forward pass each. It begins at a random point of its own: start and
    step_size are ignored. UserError unless inputs are images [batch, height, width, channels] or,
    within Linf, rows of a table [batch, columns].
    """
    task = task.inward()
    region = task.region
    begin, propose, least, odd = _way(region)
    height, width = _sides(region)
    side = tf.constant(sides(height, width, steps, least, odd), tf.int32)

    def step(at: Task, i: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        best, highest, x = carried
        logits = at.logits(x)
        height, errs = signed_margin(at, logits), at.errs(logits)
        better = (height > highest) | errs
        best = chosen(better, x, best)
        keys = noise.fold(at.keys, FIRST + 1 + i)
        x = propose(at.region, best, side[tf.minimum(i + 1, steps - 1)], keys)
        return [best, tf.where(better, height, highest), x], errs

    first = begin(region, noise.fold(task.keys, FIRST))
    carried = [region.x, each(region.x, -math.inf), first]
    return region.project(loop_until_done(task, carried, steps, step)[0])


def _way(region: Region) -> tuple[Begin, Propose, int, bool]:
    """The first proposal, the further ones, the windows' least side, and whether sides are odd."""
    if region.x.shape.rank == 2 and region.threat.name == "linf":
        return square_table.begin, square_table.propose, 1, False
    if region.x.shape.rank != 4:
        shape = region.x.shape[1:].as_list()
        raise UserError(f"square: expected images [height, width, channels]; received {shape}")
    if region.threat.name == "linf":
        return _stripes, _even_window, 1, False
    return square_lp.begin, square_lp.propose, square_lp.LEAST[region.threat.name], True


def _sides(region: Region) -> tuple[int, int]:
    """The height and width of images, or those of a square with room for a table's columns."""
    if region.x.shape.rank == 2:
        return (square_table.side_of(region.x.shape[1]),) * 2
    return tuple(region.x.shape[1:3])


def _stripes(region: Region, keys: Tensor) -> Tensor:
    """The image with every column, in every channel, at one end of the Linf ball."""
    lower, upper = region.box()
    return tf.where(noise.uniform(keys, [1, *region.x.shape[2:]]) < 0.5, lower, upper)


def _even_window(region: Region, x: Tensor, side: Tensor, keys: Tensor) -> Tensor:
    """x with a window, in every channel, at one end of the Linf ball: the other if it is there."""
    height, width, channels = x.shape[1:]
    chances = noise.uniform(keys, [2 + channels])
    window = covered(*offsets(height, width, side, chances[:, :2]), side)
    up = chances[:, tf.newaxis, tf.newaxis, 2:] < 0.5
    return at_an_end(region, x, window, up)
