"""The bound term: the worst-case loss that a bound allows, on a region around each example."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf import replicas
from rt_tf.bounds.margin_rows import margin_rows
from rt_tf.bounds.result import Bounds, Box, certified
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region
from rt_tf.training.objectives.batch import Batch


class Worst(NamedTuple):
    """The result of the bound term.

    loss: the term, a scalar. verified: the certified share, a scalar. boxes: the bounds of the
    network's nodes. batch: the examples that were bounded.
    """

    loss: Tensor
    verified: Tensor
    boxes: dict[int, Box]
    batch: Batch


@dataclasses.dataclass(frozen=True)
class WorstCase:
    """The mean worst-case cross-entropy by a bound.

    draws: whether the bound takes a seed. samples: the number of examples of the whole batch in the
    term (MixTrain's k); 0 for all. ratio: of the radius of the region bounded, which lies around
    the point term's point as far as it stays within the whole one (SABR, Mueller et al. 2023); 1
    for the whole one.
    """

    bound: Callable[..., Bounds]
    draws: bool = False
    samples: int = 0
    ratio: float = 1.0

    def __call__(self, batch: Batch, point: Tensor) -> Worst:
        """The term on a batch. point: of the point term, [batch, ...]."""
        weights = None
        if self.samples:
            rows, weights = sample(self.samples, tf.shape(batch.labels)[0])
            batch, point = batch.take(rows, weights), tf.gather(point, rows)
        region = batch.region if self.ratio == 1.0 else part(batch.region, point, self.ratio)
        spec = margin_rows(batch.labels, batch.wiring.classes)
        seed = {"seed": batch.draws.seed()} if self.draws else {}
        bounds = self.bound(batch.lower(), region, spec, **seed)
        verified = tf.cast(certified(bounds.margins), tf.float32)
        share = tf.reduce_mean(verified if weights is None else weights * verified)
        loss = worst_case_loss(bounds.margins) if bounds.loss is None else bounds.loss
        return Worst(batch.mean(loss), share, bounds.boxes, batch)


def part(region: Region, point: Tensor, ratio: float) -> Region:
    """A region of `ratio` times the radius inside the whole one, as near to `point` as possible.

    point: [batch, ...]. Source: Mueller et al. 2023 (SABR), section 3.
    """
    eps = tf.convert_to_tensor(region.eps)
    centres = dataclasses.replace(region, eps=(1.0 - ratio) * eps)
    return dataclasses.replace(region, x=centres.project(point), eps=ratio * eps)


def worst_case_loss(margins: Tensor) -> Tensor:
    """The cross-entropy of the worst-case logits, 0 for the label, -margin_j for class j: [batch].

    margins: lower bounds, [batch, classes - 1]. Source: Wong 2020 (thesis), theorem 2.
    """
    return tf.reduce_logsumexp(tf.pad(-margins, [[0, 0], [1, 0]]), axis=1)


class Sample(NamedTuple):
    """This replica's part of a sample.

    rows: [rows], of this replica's examples. weights: [rows], in the replica's mean; None for one
    each.
    """

    rows: Tensor
    weights: Tensor | None


def sample(count: int, held: Tensor) -> Sample:
    """This replica's part of a sample: `count` evenly spaced examples of the whole batch.

    held: the number of examples on this replica, a scalar. A batch is in random order, so evenly
    spaced examples are a random sample. Weighted means of the replicas, by their shares of the
    batch, add up to the mean of the sample; a replica that holds none of it has its first example
    at weight 0.
    """
    if replicas.count() == 1:
        return Sample(tf.range(count) * held // count, None)
    whole, first = replicas.whole(held), replicas.first(held)
    places = tf.range(count) * whole // count - first
    rows = tf.boolean_mask(places, (places >= 0) & (places < held))
    idle = tf.cast(tf.equal(tf.size(rows), 0), tf.int32)
    counted = tf.concat([tf.ones_like(rows), tf.zeros([idle], tf.int32)], axis=0)
    rows = tf.concat([rows, tf.zeros([idle], tf.int32)], axis=0)
    scale = tf.size(rows) * whole / (count * held)
    return Sample(rows, tf.cast(counted, tf.float32) * tf.cast(scale, tf.float32))
