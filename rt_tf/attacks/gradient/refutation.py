"""Tasks of cascades: points at which one answers wrongly, and points on the way there."""

import dataclasses
from typing import Self

import tensorflow as tf

from rt_tf.attacks.losses import margin
from rt_tf.attacks.task import Task
from rt_tf.bounds.cascade import answer, least_margin
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

SPARE = 1e-2  # of the fast bound: served models certify in sound arithmetic


@dataclasses.dataclass(frozen=True)
class Refutation(Task):
    """Points are sought at which a cascade answers another label; it may abstain at others.

    members: in the cascade's order; `network` is the first, whose label it answers.
    """

    members: tuple[Graph, ...] = ()

    def errs_at(self, x: Tensor) -> Tensor:
        """Whether the cascade answers x [batch, ...] with an error, by sound bounds: [batch]."""
        wrong = self.errs(self.logits(x))
        rows = tf.where(wrong)[:, 0]
        some = self.take(rows)
        answered = tf.cond(
            tf.reduce_any(wrong), lambda: some._answers(tf.gather(x, rows)), lambda: rows < 0
        )
        return tf.tensor_scatter_nd_update(wrong, rows[:, None], answered)

    def _answers(self, x: Tensor) -> Tensor:
        logits = [tf.cast(member(x), tf.float32) for member in self.members]
        labels, classes = [tf.argmax(each, axis=-1) for each in logits], logits[0].shape[-1]
        ball = dataclasses.replace(self.region, x=x)
        margins = [least_margin(g, ball, labels[0], classes, "sound") for g in self.members]
        return answer(labels, margins).margin > 0.0


@dataclasses.dataclass(frozen=True)
class Assent(Task):
    """Points are sought where all of some members answer `targets`, and the last one certifies it.

    `logits` are the margins of that: the members' leads and the certificate's margin, [batch,
    conditions]. members: those up to the last one. ball: has the certificate's radius, wherever
    the points may go meanwhile; None: no certificate is sought.
    """

    members: tuple[Graph, ...] = ()
    ball: Region | None = None

    def logits(self, x: Tensor) -> Tensor:
        outputs = [tf.cast(member(x), tf.float32) for member in self.members]
        conditions = [-margin(logits, self.targets) for logits in outputs]
        if self.ball is not None:
            ball, classes = dataclasses.replace(self.ball, x=x), outputs[0].shape[-1]
            conditions.append(least_margin(self.members[-1], ball, self.targets, classes))
        return tf.stack(conditions, axis=1)

    def errs(self, logits: Tensor) -> Tensor:
        return tf.reduce_min(logits, axis=1) > (0.0 if self.ball is None else SPARE)

    def take(self, rows: Tensor) -> Self:
        ball = None if self.ball is None else self.ball.take(rows)
        return dataclasses.replace(super().take(rows), ball=ball)


def assent(task: Refutation, targets: Tensor, number: int, certified: bool) -> Assent:
    """The task of points at which member `number`, from 1 on, answers `targets`, [batch].

    certified: whether that member certifies them, or only agrees.
    """
    region, members = task.region, task.members[:number]
    ball = region if certified else None
    return Assent(task.network, region, task.labels, task.keys, _least, targets, 1.0, members, ball)


def _least(conditions: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    return tf.reduce_min(conditions, axis=1)
