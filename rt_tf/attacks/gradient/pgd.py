"""Projected gradient ascent (Madry et al. 2018), its one-step form (FGSM), and with momentum."""

import tensorflow as tf

from rt_tf.attacks.ascent import ascend
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example, total


def pgd(
    task: Task, start: Tensor, steps: int, step_size: float = 0.0, early_stop: bool = False
) -> Tensor:
    """The last point of a climb of the loss within the region from `start`: [batch, ...].

    step_size: in units of eps; 0 for 2.5 / steps. early_stop: see `ascend`. Source: Wong 2020
    (thesis), algorithm 5.
    """
    task, size = task.inward(), usual(steps, step_size)

    def move(at: Task, i: Tensor, carried: list[Tensor], evaluation: Evaluation) -> list[Tensor]:
        return [climbed(at, i, carried[0], evaluation.gradient, size)]

    return ascend(task, [start], steps, move, early_stop)


def fgsm(task: Task, start: Tensor, steps: int = 1, step_size: float = 0.0) -> Tensor:
    """The point after one step of steepest ascent from `start`, back in the region: [batch, ...].

    The step is 1.25 eps long by default, whatever `steps` says. Source: Wong 2020 (thesis),
    algorithm 7.
    """
    return pgd(task, start, steps=1, step_size=step_size or 1.25)


def mim(
    task: Task,
    start: Tensor,
    steps: int,
    step_size: float = 0.0,
    early_stop: bool = False,
    decay: float = 1.0,
) -> Tensor:
    """The last point of PGD along a sum of all gradients so far: [batch, ...].

    Each gradient is scaled to L1 norm one, and each step multiplies older ones by
    `decay`. Source: Dong et al. 2018, algorithm 1.
    """
    task, share = task.inward(), usual(steps, step_size)

    def move(at: Task, i: Tensor, carried: list[Tensor], evaluation: Evaluation) -> list[Tensor]:
        x, momentum = carried
        size = by_example(total(evaluation.gradient), x.shape.rank)
        momentum = decay * momentum + tf.math.divide_no_nan(evaluation.gradient, size)
        return [climbed(at, i, x, momentum, share), momentum]

    return ascend(task, [start, tf.zeros_like(start)], steps, move, early_stop)


def climbed(task: Task, i: Tensor, x: Tensor, gradient: Tensor, size: Tensor | float) -> Tensor:
    """Points x after a step along a gradient, back in the region: each [batch, ...].

    size: in units of eps, a scalar or of x's rank. i: the step's number, a scalar.
    """
    region = task.region
    step = region.step(x, gradient, size * region.radius(), task.chance(i + 1))
    return region.project(x + step)


def usual(steps: int, step_size: float) -> float:
    """The size of a step in units of eps: step_size, or one by which the edge is easily reached."""
    return step_size or 2.5 / max(steps, 1)
