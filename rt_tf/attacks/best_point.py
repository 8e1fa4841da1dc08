"""The best point of an ascent so far, to go back to and to return."""

from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks.ascent import chosen
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.network.ops import Tensor


class Best(NamedTuple):
    """By example the point of the highest loss, [batch, ...], its gradient, and its loss."""

    x: Tensor
    gradient: Tensor
    loss: Tensor


def unseen(start: Tensor) -> Best:
    """The best before the first evaluation: worse than any point. start: [batch, ...]."""
    return Best(start, tf.zeros_like(start), each(start, -float("inf")))


def noted(best: Best, x: Tensor, evaluation: Evaluation) -> Best:
    """The best after an evaluation at x, [batch, ...]."""
    higher, latest = evaluation.loss > best.loss, Best(x, evaluation.gradient, evaluation.loss)
    return Best(*(chosen(higher, new, old) for new, old in zip(latest, best, strict=True)))


def returned(task: Task, x: Tensor, best: Best) -> Tensor:
    """The last point x of an attack where it errs or is better, else the best: [batch, ...].

    x is not evaluated yet.
    """
    logits = task.logits(x)
    loss = task.loss(logits, task.labels, task.targets)
    return tf.stop_gradient(chosen(task.errs(logits) | (loss > best.loss), x, best.x))


def each(x: Tensor, value: float) -> Tensor:
    """A value for every example of x: [batch]."""
    return tf.fill(tf.shape(x)[:1], tf.constant(value, x.dtype))
