"""Attacks on a union of threats: the worst part, and multi steepest descent."""

import dataclasses

import tensorflow as tf

from rt_tf.attacks.ascent import ascend
from rt_tf.attacks.gradient.pgd import climbed, pgd, usual
from rt_tf.attacks.judging import worse
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region
from rt_tf.threats.union import Union


def worst_part(
    task: Task, start: Tensor, steps: int, step_size: float = 0.0, early_stop: bool = False
) -> Tensor:
    """By example the point of the highest loss of PGD in each part of a union: [batch, ...].

    Source: Wong 2020 (thesis), equations 5.30 and 5.31.
    """
    tasks = by_part(task)
    best = pgd(tasks[0], tasks[0].region.project(start), steps, step_size, early_stop)
    for part in tasks[1:]:
        point = pgd(part, part.region.project(start), steps, step_size, early_stop)
        best = worse(task, best, point)
    return best


def msd(
    task: Task,
    start: Tensor,
    steps: int,
    step_size: float = 0.0,
    early_stop: bool = False,
) -> Tensor:
    """Multi steepest descent: every step is that of the part which raises the loss most.

    Points [batch, ...]. Source: Wong 2020 (thesis), algorithm 9.
    """
    task, size = task.inward(), usual(steps, step_size)

    def move(at: Task, i: Tensor, carried: list[Tensor], evaluation: Evaluation) -> list[Tensor]:
        points = [climbed(part, i, carried[0], evaluation.gradient, size) for part in by_part(at)]
        losses = tf.stack([at.values(point) for point in points], axis=1)
        best = tf.argmax(losses, axis=1)
        return [tf.gather(tf.stack(points, axis=1), best, batch_dims=1)]

    return ascend(task, [start], steps, move, early_stop)


def by_part(task: Task) -> list[Task]:
    """The task in each part of a union; UserError for another threat."""
    return [dataclasses.replace(task, region=part) for part in _parts(task.region)]


def _parts(region: Region) -> list[Region]:
    if not isinstance(region.threat, Union):
        raise UserError(f"threat: expected a union for this attack; received {region.threat.name}")
    return region.threat.regions(region)
