"""The loop of iterative attacks: climb step by step, and stop by example once it is done."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from rt_tf.attacks.task import Evaluation, Task
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

# (task, step's number, carried tensors with the points first, evaluation there) -> carried
Move = Callable[[Task, Tensor, list[Tensor], Evaluation], list[Tensor]]
# (task, step's number, carried tensors) -> carried, whether an example is done: [batch]
Step = Callable[[Task, Tensor, list[Tensor]], tuple[list[Tensor], Tensor]]


def ascend(
    task: Task, carried: list[Tensor], steps: int | Tensor, move: Move, early_stop: bool
) -> Tensor:
    """Moves the points carried[0] `steps` times and returns them: [batch, ...].

    carried: tensors [batch, ...]. early_stop: an example stays where the network errs on it,
    and costs nothing from there on; else all of them move to the end, which training needs.
    """
    if early_stop:
        return loop_until_done(task, carried, steps, stepping(move))[0]
    if steps == 1:
        return tf.stop_gradient(move(task, tf.constant(0), carried, task.evaluate(carried[0]))[0])
    last = tf.while_loop(
        lambda i, *_: (i < steps) & (tf.shape(carried[0])[0] > 0),
        _climbing(task, move),
        [tf.constant(0), *carried],
    )
    return tf.stop_gradient(last[1])


def loop_until_done(
    task: Task, carried: list[Tensor], steps: int | Tensor, step: Step
) -> list[Tensor]:
    """Takes `steps` steps, of every example until a step says that it is done; returns carried.

    carried: tensors [batch, ...]; a step gets their rows of the examples that are not done.
    """

    def again(i: Tensor, rows: Tensor, *carried: Tensor) -> list[Tensor]:
        here = [tf.gather(tensor, rows) for tensor in carried]
        i, done, *here = _until_some_are_done(task.take(rows), i, here, steps, step)
        places = rows[:, None]
        updated = [
            tf.tensor_scatter_nd_update(tensor, places, update)
            for tensor, update in zip(carried, here, strict=True)
        ]
        return [i, tf.boolean_mask(rows, ~done), *updated]

    rows = tf.range(tf.shape(carried[0])[0])
    shapes = [tf.TensorShape([]), tf.TensorShape([None]), *(tensor.shape for tensor in carried)]
    last = tf.while_loop(
        lambda i, rows, *_: (i < steps) & (tf.shape(rows)[0] > 0),
        again,
        [tf.constant(0), rows, *carried],
        shape_invariants=shapes,
    )
    return [tf.stop_gradient(tensor) for tensor in last[2:]]


def _until_some_are_done(
    task: Task, i: Tensor, carried: list[Tensor], steps: int | Tensor, step: Step
) -> list[Tensor]:
    """Steps until one example is done: the next step's number, a mask of the done, carried."""

    def again(i: Tensor, done: Tensor, *carried: Tensor) -> list[Tensor]:
        new, done = step(task, i, list(carried))
        return [i + 1, done, *new]

    nobody = tf.zeros(tf.shape(carried[0])[:1], tf.bool)
    return tf.while_loop(
        lambda i, done, *_: (i < steps) & ~tf.reduce_any(done), again, [i, nobody, *carried]
    )


def stepping(move: Move, early_stop: bool | Tensor = True) -> Step:
    """A step of `loop_until_done` that makes a move.

    early_stop: whether an example stays where the network errs on it; a bool or a scalar tensor.
    """

    def step(task: Task, i: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        evaluation = task.evaluate(carried[0])
        done = task.errs(evaluation.logits) & early_stop
        moved = move(task, i, carried, evaluation)
        return [chosen(done, old, new) for old, new in zip(carried, moved, strict=True)], done

    return step


def skip_empty_batch(attack: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The attack, not called without examples: not every layer bears an empty batch."""

    @functools.wraps(attack)
    def called(task: Task, start: Tensor, **options: Any) -> Tensor:
        some = tf.shape(start)[0] > 0
        return tf.cond(some, lambda: attack(task, start, **options), lambda: start)

    return called


def chosen(condition: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """By example, the first where a condition [batch] holds, else the second: [batch, ...]."""
    return tf.where(by_example(condition, first.shape.rank), first, second)


def _climbing(task: Task, move: Move) -> Callable[..., list[Tensor]]:
    def climb(i: Tensor, *carried: Tensor) -> list[Tensor]:
        return [i + 1, *move(task, i, list(carried), task.evaluate(carried[0]))]

    return climb
