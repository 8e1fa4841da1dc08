"""A batch within a training step: the source of an objective's terms."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf import replicas
from rt_tf.attacks.losses import Loss, cross_entropy
from rt_tf.attacks.task import Network, Task
from rt_tf.errors import UserError
from rt_tf.network.folding import folded
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import StatisticsByCall, Wiring
from rt_tf.threats.region import Region

# Keeps small input gradients above float16's underflow; attacks use their direction alone.
ATTACK_LOSS_SCALE = 1024.0


class Draws(NamedTuple):
    """Random numbers of one step, which are equal each time that the step is taken.

    keys: [batch], one for each example (`noise.keys`). seed: [2] integers, for draws that all
    examples share. last: the moves that `keep` took for the batch before, shaped as the images.
    """

    keys: Callable[[], Tensor]
    seed: Callable[[], Tensor]
    last: Callable[[], Tensor]
    keep: Callable[[Tensor], None]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Examples with their regions at this step's radius, and the network's computation on them.

    labels: [batch]. statistics: of the batch normalisations, from the clean pass. loss:
    cross-entropy with the labels, [batch]. clean: logits of the clean pass in float32, [batch,
    classes], or None. weights: of the examples in the terms, [batch]; None for one each. training:
    whether layers behave as in training.
    """

    wiring: Wiring
    region: Region
    labels: Tensor
    draws: Draws
    loss: Loss = cross_entropy
    statistics: StatisticsByCall = dataclasses.field(default_factory=dict)
    clean: Tensor | None = None
    weights: Tensor | None = None
    training: bool = True

    def lower(self) -> Graph:
        """The network as operations, in float32, with batch normalisations folded into kernels."""
        return folded(self.wiring.lower(self.statistics))

    def logits(self, x: Tensor) -> Tensor:
        """The logits of x [batch, ...] in training's precision, as float32 [batch, classes]."""
        logits, _ = self.wiring.forward(x, self.training, self.statistics)
        return tf.cast(logits, tf.float32)

    def task(self, loss: Loss) -> Task:
        """The task of raising a loss on the batch.

        In float32 the lowered graph is attacked, which is faster.
        """
        whole = self.wiring.float32
        network: Network = self.lower() if whole else self._half_precision
        scale = 1.0 if whole else ATTACK_LOSS_SCALE
        return Task(network, self.region, self.labels, self.draws.keys(), loss, scale=scale)

    def mean_loss(self, logits: Tensor) -> Tensor:
        """The mean loss of logits [batch, classes]: a scalar."""
        return self.mean(self.loss(logits, self.labels, None))

    def mean(self, values: Tensor) -> Tensor:
        """The sum of weights times values, [batch], over the number of examples, as in Keras."""
        return tf.reduce_mean(values if self.weights is None else self.weights * values)

    def average(self, values: Tensor) -> Tensor:
        """The mean of values, [batch, ...], over all replicas, weighted by example: a scalar."""
        if self.weights is None:
            return replicas.mean(values)
        by_example = tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
        sums = [tf.reduce_sum(self.weights * by_example), tf.reduce_sum(self.weights)]
        return tf.math.divide_no_nan(*replicas.totals(sums))

    def take(self, rows: Tensor, weights: Tensor | None = None) -> "Batch":
        """The batch of these rows, without clean logits.

        rows: [rows]. weights: factors of the examples' weights, [rows]; None for one each.
        """
        region, labels = self.region.take(rows), tf.gather(self.labels, rows)
        if self.weights is not None:
            before = tf.gather(self.weights, rows)
            weights = before if weights is None else weights * before
        return dataclasses.replace(self, region=region, labels=labels, weights=weights, clean=None)

    def _half_precision(self, x: Tensor) -> Tensor:
        return self.wiring.forward(x, training=False, statistics=self.statistics)[0]


def refuse_uneven(name: str, examples: int, replicas: int) -> None:
    """Raises UserError for a number of examples that replicas cannot share evenly."""
    if examples % replicas:
        raise UserError(
            f"{name}: expected a multiple of the {replicas} replicas; received {examples}"
        )
