"""Attacks towards one class after another: those that an example is most easily mistaken for."""

import dataclasses

import tensorflow as tf

from rt_tf.attacks.losses import Loss, margin, others
from rt_tf.attacks.task import Task
from rt_tf.network.ops import Tensor

RIVALS = 9  # classes that AutoAttack attacks towards (Croce & Hein 2020)


class Aimed(Task):
    """A task whose targets steer the loss alone: any error is a success."""

    def errs(self, logits: Tensor) -> Tensor:
        return Task.errs(dataclasses.replace(self, targets=None), logits)


def rivals(task: Task, count: int) -> Tensor:
    """The likeliest wrong classes at the image itself, `count` or all there are: [batch, k].

    The targets alone of a task that has some.
    """
    if task.targets is not None:
        return task.targets[:, None]
    wrong = others(task.logits(task.region.x), task.labels)
    classes = tf.math.top_k(wrong, min(count, wrong.shape[-1] - 1)).indices
    return tf.cast(classes, task.labels.dtype)


def aimed(task: Task, targets: Tensor, loss: Loss) -> Task:
    """The task with a loss that leads towards target classes, [batch]."""
    kind = Aimed if task.targets is None else Task
    return kind(**{**vars(task), "targets": targets, "loss": loss})


def signed_margin(task: Task, logits: Tensor) -> Tensor:
    """The margin by which logits [batch, classes] are a success, above 0 if they are: [batch]."""
    if task.targets is None:
        return margin(logits, task.labels)
    return -margin(logits, task.targets)
