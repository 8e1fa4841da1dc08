"""Auto-PGD: projected gradient ascent that chooses its step sizes itself.

With the cross-entropy as the task's loss it is APGD-CE, with the DLR loss APGD-DLR. Source: Croce &
Hein 2020 (Reliable evaluation of adversarial robustness), algorithm 1.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.attacks.ascent import chosen, loop_until_done, skip_empty_batch, stepping
from rt_tf.attacks.best_point import Best, each, noted, returned, unseen
from rt_tf.attacks.gradient.apgd_l1 import apgd_l1
from rt_tf.attacks.gradient.pgd import climbed
from rt_tf.attacks.losses import dlr_or_margin
from rt_tf.attacks.targets import RIVALS, aimed, rivals, signed_margin
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

KEPT = 0.75  # share of a step; the rest goes the way of the last step
RISES = 0.75  # of the steps between checkpoints should raise the loss


class Pace(NamedTuple):
    """By example the step size, in radii, and the numbers by which it is judged: [batch] each.

    loss: at the last point. rises: steps that raised it since the last checkpoint. best: the
    best loss at that checkpoint. halved: whether the step size was halved there.
    """

    size: Tensor
    loss: Tensor
    rises: Tensor
    best: Tensor
    halved: Tensor


@skip_empty_batch
def apgd(task: Task, start: Tensor, *, steps: int, step_size: float = 0.0) -> Tensor:
    """The counterexample by example, else the point of the highest loss: [batch, ...].

    start: [batch, ...]. step_size is ignored: the first is twice the radius. For L1 see
    `apgd_l1`.
    """
    if task.region.threat.name == "l1":
        return apgd_l1(task, start, steps=steps)
    task = task.inward()
    needed = tf.constant(rises_needed(steps), tf.float32)

    def move(at: Task, i: Tensor, carried: list[Tensor], evaluation: Evaluation) -> list[Tensor]:
        x, previous, *rest = carried
        best = noted(Best(*rest[:3]), x, evaluation)
        pace, back = _judged(Pace(*rest[3:]), evaluation.loss, best.loss, needed[i])
        x, gradient = chosen(back, best.x, x), chosen(back, best.gradient, evaluation.gradient)
        new = climbed(at, i, x, gradient, by_example(pace.size, x.shape.rank))
        share = tf.where(i == 0, 1.0, KEPT)
        new = at.region.project(x + share * (new - x) + (1.0 - share) * (x - previous))
        return [new, x, *best, *pace]

    carried = [start, start, *unseen(start), *_pace(start)]
    last = loop_until_done(task, carried, steps, stepping(move))
    return returned(task, last[0], Best(*last[2:5]))


@skip_empty_batch
def apgd_t(
    task: Task, start: Tensor, *, steps: int, step_size: float = 0.0, classes: int = RIVALS
) -> Tensor:
    """APGD towards the likeliest wrong classes in turn, on the examples that still withstand.

    Points [batch, ...]. It raises the targeted DLR loss; the targeted margin where there are
    fewer classes than that loss reads. steps: towards each class. Source: Croce & Hein 2020.
    """
    targets = rivals(task, classes)

    def step(some: Task, i: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        x, highest, start, targets = carried
        at = aimed(some.restart(i), targets[:, i], dlr_or_margin)
        point = apgd(at, start, steps=steps)
        logits = some.logits(point)
        height = signed_margin(some, logits)
        better, errs = height > highest, some.errs(logits)
        x = chosen(better | errs, point, x)
        return [x, tf.maximum(height, highest), start, targets], errs

    carried = [start, each(start, -math.inf), start, targets]
    return loop_until_done(task, carried, targets.shape[1], step)[0]


def rises_needed(steps: int) -> np.ndarray:
    """The number of steps that should have raised the loss by each checkpoint, else 0: [steps].

    The intervals shorten from .22 of all steps, by .03 each, to .06.
    """
    needed, last, place, interval = np.zeros(steps), 0, 22, 22  # in hundredths of the steps
    while (checkpoint := math.ceil(place * steps / 100)) < steps:
        needed[checkpoint] = RISES * (checkpoint - last)
        interval = max(interval - 3, 6)
        last, place = checkpoint, place + interval
    return needed


def _pace(start: Tensor) -> Pace:
    low = each(start, -math.inf)
    return Pace(each(start, 2.0), -low, each(start, 0.0), low, tf.fill(tf.shape(low), False))


def _judged(pace: Pace, loss: Tensor, best: Tensor, needed: Tensor) -> tuple[Pace, Tensor]:
    """The pace after an evaluation, and for which examples it was halved: those go back.

    It is halved where too few steps raised the loss, or none the best since the last checkpoint
    though it was not halved then.
    """
    rises = pace.rises + tf.cast(loss > pace.loss, loss.dtype)
    checkpoint = needed > 0.0
    stuck = ~pace.halved & (best <= pace.best)
    back = checkpoint & ((rises < needed) | stuck)
    size = tf.where(back, 0.5 * pace.size, pace.size)
    loss = tf.where(back, best, loss)
    fresh = Pace(size, loss, tf.zeros_like(rises), best, back)
    same = Pace(size, loss, rises, pace.best, pace.halved)
    return Pace(*(tf.where(checkpoint, a, b) for a, b in zip(fresh, same, strict=True))), back
