"""The judge of attacks: the network and the region decide on success, never an attack itself."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks.ascent import chosen
from rt_tf.attacks.task import Task
from rt_tf.network.ops import Tensor

Attack = Callable[[Task, Tensor], Tensor]  # a task and a start [batch, ...] -> points [batch, ...]
Start = Callable[[Task], Tensor]


class AttackOutcome(NamedTuple):
    """The outcome of an attack.

    success: [batch] bool. x: the first counterexample, else the last point, [batch, ...].
    """

    success: Tensor
    x: Tensor


def check_success(task: Task, x: Tensor) -> AttackOutcome:
    """The outcome of points x [batch, ...], whichever attack they are from.

    Success is an error of the kind that the task seeks, strictly inside its region.
    """
    return AttackOutcome(task.errs_at(x) & task.region.inside(x), x)


def attack_with_restarts(
    task: Task, attack: Attack, start: Start, restarts: int = 1
) -> AttackOutcome:
    """The first success, by example, of the image itself and of an attack's restarts.

    Every restart has random numbers of its own, and attacks only examples that withstood so
    far.
    """

    def again(number: Tensor, success: Tensor, x: Tensor) -> list[Tensor]:
        rows = tf.where(~success)[:, 0]
        some = task.restart(number).take(rows)
        result = check_success(some, attack(some, start(some)))
        place = rows[:, None]
        success = tf.tensor_scatter_nd_update(success, place, result.success)
        return [number + 1, success, tf.tensor_scatter_nd_update(x, place, result.x)]

    last = tf.while_loop(
        lambda number, success, x: (number < restarts) & ~tf.reduce_all(success),
        again,
        [tf.constant(0), *check_success(task, task.region.x)],
    )
    return AttackOutcome(*last[1:])


def worse(task: Task, first: Tensor, second: Tensor) -> Tensor:
    """By example, the point of higher loss of two: each [batch, ...]."""
    return chosen(task.values(second) > task.values(first), second, first)
