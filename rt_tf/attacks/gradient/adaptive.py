"""PGD within a radius that grows until the network errs, example by example."""

import dataclasses

import tensorflow as tf

from rt_tf.attacks.ascent import ascend
from rt_tf.attacks.gradient.pgd import climbed, usual
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.network.ops import Tensor


def adaptive(
    task: Task,
    start: Tensor,
    steps: int,
    step_size: float = 0.0,
    every: int = 5,
    growth: float = 1.4,
) -> Tensor:
    """Points [batch, ...] of the smallest radius at which PGD makes the network err, else of eps.

    The radius grows by `growth` after `every` steps, and is eps at the last ones. step_size: in
    units of the radius at the time; 0 for 2.5 / every. With eps 2.1 and 50 steps the radii are
    .1, .14, ...: Wong 2020 (thesis), 5.2.1.
    """
    size = usual(every, step_size)
    region, rises = task.inward().region, (max(steps, 1) - 1) // every

    def move(at: Task, i: Tensor, carried: list[Tensor], evaluation: Evaluation) -> list[Tensor]:
        share = growth ** tf.cast(i // every - rises, tf.float32)
        within = dataclasses.replace(at.region, eps=share * tf.cast(at.region.eps, tf.float32))
        at = dataclasses.replace(at, region=within)
        return [climbed(at, i, carried[0], evaluation.gradient, size)]

    first = dataclasses.replace(region, eps=region.eps * growth**-rises)
    return ascend(
        dataclasses.replace(task, region=region), [first.project(start)], steps, move, True
    )
