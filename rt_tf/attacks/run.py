"""Who says that an attack succeeded: the network and the region, never the attack itself."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks.ascent import chosen
from rt_tf.attacks.task import Task
from rt_tf.network.ops import Tensor

Attack = Callable[[Task, Tensor], Tensor]  # a task and where to start -> points [batch, ...]
Start = Callable[[Task], Tensor]


class AttackResult(NamedTuple):
    """success: [batch] bool. x: the first counterexample found, else the last point tried."""

    success: Tensor
    x: Tensor


def check_success(task: Task, x: Tensor) -> AttackResult:
    """Success is a point strictly in the region that the task seeks, whoever found it."""
    return AttackResult(task.errs_at(x) & task.region.inside(x), x)


def attack_with_restarts(
    task: Task, attack: Attack, start: Start, restarts: int = 1
) -> AttackResult:
    """The worst by example of the image itself and of an attack's restarts.

    Every restart has random numbers of its own, and attacks those alone that withstood so far.
    """

    def again(number: Tensor, success: Tensor, x: Tensor) -> list[Tensor]:
        rows = tf.where(~success)[:, 0]
        some = task.restart(number).take(rows)
        found = check_success(some, attack(some, start(some)))
        place = rows[:, None]
        success = tf.tensor_scatter_nd_update(success, place, found.success)
        return [number + 1, success, tf.tensor_scatter_nd_update(x, place, found.x)]

    found = tf.while_loop(
        lambda number, success, x: (number < restarts) & ~tf.reduce_all(success),
        again,
        [tf.constant(0), *check_success(task, task.region.x)],
    )
    return AttackResult(*found[1:])


def worse(task: Task, first: Tensor, second: Tensor) -> Tensor:
    """By example, the point of higher loss: [batch, ...]."""
    return chosen(task.values(second) > task.values(first), second, first)
