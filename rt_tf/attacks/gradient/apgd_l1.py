"""Auto-PGD for L1: steps on few pixels, as many as the best point so far suggests.

Source: Croce & Hein 2021 (Mind the box).
"""

import dataclasses
import math
from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks.ascent import chosen, loop_until_done, stepping
from rt_tf.attacks.best_point import Best, each, noted, returned, unseen
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

STAGES = (3.0, 2.0, 1.0)  # radii, in units of eps
EARLY = 0.3  # of the steps in each stage but the last
FIRST = 0.2  # of the pixels move at first
SPARSER = 1.5  # times fewer pixels move than differ at the best point
FEWER = 0.95  # of the pixels that differed at the last checkpoint: the best point grows sparser
SHORTER, SHORTEST = 1.5, 0.1  # by which steps shorten where it does not; down to, in radii
INTERVAL = 0.04  # of the steps, between checkpoints


class Pace(NamedTuple):
    """By example, the numbers of pixels that move, and that differed at the last checkpoint's best.

    size: of steps, in radii. Each [batch].
    """

    moving: Tensor
    differing: Tensor
    size: Tensor


def apgd_l1(task: Task, start: Tensor, *, steps: int) -> Tensor:
    """The counterexample by example, else the point of the highest loss: [batch, ...].

    start: [batch, ...]. The radius is three times eps, twice eps, then eps; a stage starts at
    the last one's best.
    """
    early = round(EARLY * steps)
    numbers = tf.constant([early, early, steps - 2 * early])
    pixels = each(start, math.prod(start.shape[1:]))

    def again(i: Tensor, x: Tensor, moving: Tensor, differing: Tensor) -> list[Tensor]:
        radius = tf.constant(STAGES)[i] * tf.cast(task.region.eps, tf.float32)
        stage = dataclasses.replace(task, region=dataclasses.replace(task.region, eps=radius))
        stage, last = stage.inward(), i == len(STAGES) - 1
        carried = [stage.region.project(x), moving, differing]
        x = _climbed(stage, carried, numbers[i], early_stop=last)
        differing = _differing(stage, x)
        return [i + 1, x, differing / SPARSER, differing]

    begin = [tf.constant(0), start, FIRST * pixels, pixels]
    return tf.while_loop(lambda i, *_: i < len(STAGES), again, begin)[1]


def _climbed(task: Task, carried: list[Tensor], steps: Tensor, early_stop: Tensor) -> Tensor:
    """The points after one stage.

    carried: the start; the numbers of pixels that move and that differed, both [batch].
    """
    interval = tf.maximum(tf.cast(INTERVAL * tf.cast(steps, tf.float32), tf.int32), 1)
    start, moving, differing = carried

    def move(at: Task, i: Tensor, carried: list[Tensor], evaluation: Evaluation) -> list[Tensor]:
        x, *rest = carried
        best = noted(Best(*rest[:3]), x, evaluation)
        checkpoint = (i > 0) & (i % interval == 0)
        pace, back = _judged(Pace(*rest[3:]), _differing(at, best.x), checkpoint)
        x, gradient = chosen(back, best.x, x), chosen(back, best.gradient, evaluation.gradient)
        length = by_example(pace.size, x.shape.rank) * at.region.radius()
        new = at.region.project(x + length * sparse_signs(gradient, pace.moving))
        return [new, *best, *pace]

    begin = [start, *unseen(start), *Pace(moving, differing, each(start, 1.0))]
    last = loop_until_done(task, begin, steps, stepping(move, early_stop))
    return returned(task, last[0], Best(*last[1:4]))


def _judged(pace: Pace, differing: Tensor, checkpoint: Tensor) -> tuple[Pace, Tensor]:
    """The pace after an evaluation, and which examples go back to their best, grown sparser."""
    back = checkpoint & (differing < FEWER * pace.differing)
    size = tf.where(back, 1.0, tf.maximum(pace.size / SHORTER, SHORTEST))
    new = Pace(differing / SPARSER, differing, size)
    return Pace(*(tf.where(checkpoint, a, b) for a, b in zip(new, pace, strict=True))), back


def sparse_signs(gradient: Tensor, count: Tensor) -> Tensor:
    """A move of L1 norm one, even on the `count` [batch] pixels of the largest |gradient|."""
    size = tf.reshape(tf.abs(gradient), [-1, math.prod(gradient.shape[1:])])
    place = tf.clip_by_value(tf.cast(count, tf.int32), 1, size.shape[1]) - 1
    least = tf.gather(tf.sort(size, direction="DESCENDING"), place, batch_dims=1)
    signs = tf.where(size >= least[:, None], 1.0, 0.0) * tf.where(size > 0.0, 1.0, 0.0)
    shares = tf.math.divide_no_nan(signs, tf.reduce_sum(signs, axis=1, keepdims=True))
    return tf.sign(gradient) * tf.reshape(shares, tf.shape(gradient))


def _differing(task: Task, x: Tensor) -> Tensor:
    """The number of pixels that are not the image's: [batch], as floats."""
    differs = tf.cast(x != task.region.x, x.dtype)
    return tf.reduce_sum(differs, axis=list(range(1, x.shape.rank)))
