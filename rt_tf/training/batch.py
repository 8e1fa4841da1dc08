"""A batch within a training step: what the terms of an objective are computed from."""

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
    """Random numbers of one step, the same however often it is taken.

    keys: [batch], the examples' own (`noise.keys`). seed: [2] integers, for what draws for all.
    last: the moves that `keep` was given for the batch before, shaped as the images.
    """

    keys: Callable[[], Tensor]
    seed: Callable[[], Tensor]
    last: Callable[[], Tensor]
    keep: Callable[[Tensor], None]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Examples with their region at this step's radius, and how the network is computed on them.

    statistics: of the batch normalisations, from the clean pass. loss: cross-entropy with the
    labels, [batch]. clean: logits of the clean pass in float32, if there was one. weights: of the
    examples in the terms, [batch]; None for one each. training: whether layers behave as in
    training.
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
        """The network as operations, in float32; batch normalisations are part of kernels."""
        return folded(self.wiring.lower(self.statistics))

    def logits(self, x: Tensor) -> Tensor:
        """The network in training's precision, the answer in float32: [batch, classes]."""
        logits, _ = self.wiring.forward(x, self.training, self.statistics)
        return tf.cast(logits, tf.float32)

    def task(self, loss: Loss) -> Task:
        """Raising a loss. In float32 the lowered graph is attacked: it is faster."""
        whole = self.wiring.float32
        network: Network = self.lower() if whole else self._half_precision
        scale = 1.0 if whole else ATTACK_LOSS_SCALE
        return Task(network, self.region, self.labels, self.draws.keys(), loss, scale=scale)

    def mean_loss(self, logits: Tensor) -> Tensor:
        """The mean cross-entropy: a scalar."""
        return self.mean(self.loss(logits, self.labels, None))

    def mean(self, values: Tensor) -> Tensor:
        """The sum of weights times values, [batch], over the number of examples, as in Keras."""
        return tf.reduce_mean(values if self.weights is None else self.weights * values)

    def average(self, values: Tensor) -> Tensor:
        """The mean of values, [batch, ...], over all replicas; examples count by weight."""
        if self.weights is None:
            return replicas.mean(values)
        by_example = tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
        sums = [tf.reduce_sum(self.weights * by_example), tf.reduce_sum(self.weights)]
        return tf.math.divide_no_nan(*replicas.totals(sums))

    def take(self, rows: Tensor, weights: Tensor | None = None) -> "Batch":
        """Some of the examples; their clean logits are left behind.

        weights: of those, [rows], besides the ones that they have; None for one each.
        """
        region, labels = self.region.take(rows), tf.gather(self.labels, rows)
        if self.weights is not None:
            own = tf.gather(self.weights, rows)
            weights = own if weights is None else weights * own
        return dataclasses.replace(self, region=region, labels=labels, weights=weights, clean=None)

    def _half_precision(self, x: Tensor) -> Tensor:
        return self.wiring.forward(x, training=False, statistics=self.statistics)[0]


def refuse_uneven(name: str, examples: int, replicas: int) -> None:
    """UserError for a number of examples that replicas cannot share evenly."""
    if examples % replicas:
        raise UserError(
            f"{name}: expected a multiple of the {replicas} replicas; received {examples}"
        )
