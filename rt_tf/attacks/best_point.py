"""The best point that an ascent has seen, to go back to and to return."""

from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks.ascent import chosen
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.network.ops import Tensor


class Best(NamedTuple):
    """By example the point of the highest loss, the loss's gradient there, and the loss."""

    x: Tensor
    gradient: Tensor
    loss: Tensor


def unseen(start: Tensor) -> Best:
    """Before the first evaluation: worse than any point."""
    return Best(start, tf.zeros_like(start), each(start, -float("inf")))


def noted(best: Best, x: Tensor, evaluation: Evaluation) -> Best:
    """The best after an evaluation at x."""
    higher, seen = evaluation.loss > best.loss, Best(x, evaluation.gradient, evaluation.loss)
    return Best(*(chosen(higher, new, old) for new, old in zip(seen, best, strict=True)))


def returned(task: Task, x: Tensor, best: Best) -> Tensor:
    """What an attack returns of its last point, not looked at yet, and of its best."""
    logits = task.logits(x)
    loss = task.loss(logits, task.labels, task.targets)
    return tf.stop_gradient(chosen(task.errs(logits) | (loss > best.loss), x, best.x))


def each(x: Tensor, value: float) -> Tensor:
    """A value for every example of x: [batch]."""
    return tf.fill(tf.shape(x)[:1], tf.constant(value, x.dtype))
