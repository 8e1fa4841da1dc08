"""The objective: `(1 - kappa) point + kappa bound + regularisers` (METHODS: one form for all)."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import StatisticsByCall, Wiring
from rt_tf.threats.region import Region, Threat
from rt_tf.training.batch import Batch, Draws
from rt_tf.training.mixing import mixed
from rt_tf.training.point import Clean, Point, PointTerm
from rt_tf.training.regularisers import Regulariser, interval_boxes
from rt_tf.training.worst_case import Worst, WorstCase


class Terms(NamedTuple):
    """The objective on one batch, and what is worth watching of it; all scalars.

    bound_verified: the share that the bound term certifies, on the region that it bounds.
    """

    loss: Tensor
    point_loss: Tensor
    bound_loss: Tensor
    penalty: Tensor
    point_accuracy: Tensor
    bound_verified: Tensor


class Outcome(NamedTuple):
    """The terms on a batch. point: where the point term was taken.

    learn: takes the loss's gradient at that point, where the point term asks for it.
    """

    terms: Terms
    point: Tensor
    learn: Callable[[Tensor], None] | None


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a phase minimises. bound: None for none. mixup: the Beta distribution's; 0 for none.

    bound_only: kappa is 1 throughout, so that the point term is computed and has no gradient.
    """

    threat: Threat
    point: PointTerm = dataclasses.field(default_factory=Clean)
    bound: WorstCase | None = None
    regularisers: Sequence[Regulariser] = ()
    mixup: float = 0.0
    bound_only: bool = False

    def __call__(
        self,
        wiring: Wiring,
        x: Tensor,
        labels: Tensor,
        eps: Tensor,
        kappa: Tensor,
        draws: Draws,
        tape: tf.GradientTape,
    ) -> Outcome:
        """The terms on a batch. The one clean pass updates and provides batch statistics."""
        batch = self._batch(wiring, x, labels, eps, draws)
        point, worst = self.point(batch, tape), None
        loss = point.loss
        if self.bound is not None:
            worst = self.bound(batch, point.x)
            loss = kappa * worst.loss
            if not self.bound_only or point.learn is not None:
                loss += (1.0 - kappa) * point.loss
        penalty = self._penalty(batch, worst)
        terms = _terms(loss + penalty, point, worst, penalty, labels)
        return Outcome(terms, point.x, point.learn)

    def trained(self, wiring: Wiring) -> list[keras.layers.Layer]:
        """The layers that are trained, each once."""
        frozen = self.point.frozen(wiring)
        layers = {id(call.layer): call.layer for call in wiring.calls}
        return [layer for layer in layers.values() if layer.name not in frozen]

    def _batch(self, wiring: Wiring, x: Tensor, labels: Tensor, eps: Tensor, draws: Draws) -> Batch:
        batch = Batch(wiring, Region(self.threat, x, eps, wiring.domain), labels, draws)
        if self.mixup:
            batch = mixed(batch, self.mixup)
        if not (self.point.needs_clean or wiring.has_statistics):
            return batch
        statistics: StatisticsByCall
        logits, statistics = wiring.forward(batch.region.x, training=True)
        clean = tf.cast(logits, tf.float32)
        return dataclasses.replace(batch, statistics=statistics, clean=clean)

    def _penalty(self, batch: Batch, worst: Worst | None) -> Tensor:
        """The regularisers' sum. Bounds they read are the bound term's, else intervals."""
        if not self.regularisers:
            return tf.constant(0.0)
        boxes = functools.cache(lambda: interval_boxes(batch) if worst is None else worst.boxes)
        layers = self.trained(batch.wiring)
        return tf.add_n([regulariser(batch, layers, boxes) for regulariser in self.regularisers])


def _terms(
    loss: Tensor, point: Point, worst: Worst | None, penalty: Tensor, labels: Tensor
) -> Terms:
    right = tf.argmax(point.logits, -1) == tf.cast(labels, tf.int64)
    accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
    bound_loss, verified = (
        (tf.constant(0.0), tf.constant(0.0)) if worst is None else (worst.loss, worst.verified)
    )
    return Terms(loss, point.loss, bound_loss, penalty, accuracy, verified)
