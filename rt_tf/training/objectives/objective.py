"""The objective of training: `(1 - kappa) point + kappa bound + regularisers`."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import StatisticsByCall, Wiring
from rt_tf.threats.region import Region, Threat
from rt_tf.training import intake
from rt_tf.training.objectives.batch import Batch, Draws
from rt_tf.training.objectives.mixing import mixed
from rt_tf.training.objectives.point import Clean, Point, PointTerm
from rt_tf.training.objectives.regularisers import Regulariser, interval_boxes
from rt_tf.training.objectives.worst_case import Worst, WorstCase


class Terms(NamedTuple):
    """The objective on one batch and its parts, for watching; all scalars.

    bound_verified: the share that the bound term certifies, on the region that it bounds.
    """

    loss: Tensor
    point_loss: Tensor
    bound_loss: Tensor
    penalty: Tensor
    point_accuracy: Tensor
    bound_verified: Tensor


class Outcome(NamedTuple):
    """The objective on a batch.

    point: of the point term, [batch, ...]. learn: takes the loss's gradient at that point; None
    where the point term needs no gradient. clean: logits of the examples themselves, [batch,
    classes], if they were computed.
    """

    terms: Terms
    point: Tensor
    learn: Callable[[Tensor], None] | None
    clean: Tensor | None


@dataclasses.dataclass(frozen=True)
class Objective:
    """The function that a phase minimises.

    bound: None for none. mixup: the parameter of the Beta distribution; 0 for none. bound_only:
    kappa is 1 throughout, so that the point term is computed and has no gradient; an assertion
    fails for another kappa.
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
        weights: Tensor | None = None,
        training: bool = True,
    ) -> Outcome:
        """The terms on a batch; its one clean pass updates and provides batch statistics.

        x: [batch, ...]; labels: [batch]; eps, kappa: scalars. weights: of the examples, [batch], in
        both terms and in what regularisers average. training: False for the objective of the
        network at inference, on the images without mixup.
        """
        region = Region(self.threat, x, eps, wiring.domain)
        batch = Batch(wiring, region, labels, draws, weights=weights, training=training)
        mixes = self.mixup > 0.0 and training
        batch = self._passed(mixed(batch, self.mixup) if mixes else batch)
        point, worst = self.point(batch, tape), None
        loss = point.loss
        if self.bound is not None:
            worst = self.bound(batch, point.x)
            if self.bound_only and point.learn is None:
                loss = intake.whole(kappa) * worst.loss
            else:
                loss = (1.0 - kappa) * point.loss + kappa * worst.loss
        penalty = self._penalty(batch, worst)
        terms = _terms(loss + penalty, point, worst, penalty, labels)
        return Outcome(terms, point.x, point.learn, None if mixes else batch.clean)

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of those `Terms` that the objective has; the others are 0."""
        absent = set() if self.bound else {"bound_loss", "bound_verified"}
        absent |= set() if self.regularisers else {"penalty"}
        return tuple(name for name in Terms._fields if name not in absent)

    def trained(self, wiring: Wiring) -> list[keras.layers.Layer]:
        """The layers that are trained, each once."""
        frozen = self.point.frozen(wiring)
        layers = {id(call.layer): call.layer for call in wiring.calls}
        return [layer for layer in layers.values() if layer.name not in frozen]

    def absent(self, wiring: Wiring) -> set[str]:
        """The `Terms` that the objective lacks; layers' own regularisers make a penalty, too."""
        penalised = any(map(_regularisers, self.trained(wiring)))
        return {*Terms._fields} - {*self.terms} - ({"penalty"} if penalised else set())

    def _passed(self, batch: Batch) -> Batch:
        """The batch after the clean pass through the network, if anything needs one."""
        if not (self.point.needs_clean or batch.wiring.has_statistics):
            return batch
        statistics: StatisticsByCall
        logits, statistics = batch.wiring.forward(batch.region.x, batch.training)
        clean = tf.cast(logits, tf.float32)
        return dataclasses.replace(batch, statistics=statistics, clean=clean)

    def _penalty(self, batch: Batch, worst: Worst | None) -> Tensor:
        """The sum of the regularisers; they read the bound term's bounds, else intervals."""
        layers = self.trained(batch.wiring)
        terms = [penalty() for layer in layers for penalty in _regularisers(layer)]
        if worst is not None:
            batch = worst.batch
        boxes = functools.cache(lambda: interval_boxes(batch) if worst is None else worst.boxes)
        terms += [regulariser(batch, layers, boxes) for regulariser in self.regularisers]
        return tf.add_n(terms) if terms else tf.constant(0.0)


def _regularisers(layer: keras.layers.Layer) -> list[Callable[[], Tensor]]:
    """The regularisers of a layer's weights: `kernel_regularizer=` and the like."""
    weights = [weight for weight in layer.trainable_variables if weight.regularizer is not None]
    return [functools.partial(weight.regularizer, weight) for weight in weights]


def _terms(
    loss: Tensor, point: Point, worst: Worst | None, penalty: Tensor, labels: Tensor
) -> Terms:
    right = tf.argmax(point.logits, -1) == tf.cast(labels, tf.int64)
    accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
    bound_loss, verified = (
        (tf.constant(0.0), tf.constant(0.0)) if worst is None else (worst.loss, worst.verified)
    )
    return Terms(loss, point.loss, bound_loss, penalty, accuracy, verified)
