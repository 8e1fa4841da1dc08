"""The objective: `(1 - kappa) point + kappa bound + regularisers` (METHODS: one form for all)."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks.judge import Attack, Start
from rt_tf.attacks.losses import Loss, cross_entropy
from rt_tf.attacks.starts import uniform
from rt_tf.attacks.task import Task
from rt_tf.bounds.result import Bounds, certified, margin_spec
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import StatisticsByCall, Wiring
from rt_tf.threats.region import Region, Threat

# Keeps small input gradients above float16's underflow; attacks use their direction alone.
ATTACK_LOSS_SCALE = 1024.0


class Draws(NamedTuple):
    """Random numbers of one step, the same however often it is taken.

    keys: [batch], the examples' own (`noise.keys`). seed: [2] integers, for a bound that draws.
    last: the moves that `keep` was given for the batch before, shaped as the images.
    """

    keys: Callable[[], Tensor]
    seed: Callable[[], Tensor]
    last: Callable[[], Tensor]
    keep: Callable[[Tensor], None]


class Terms(NamedTuple):
    """The objective on one batch, and what is worth watching of it; all scalars."""

    loss: Tensor
    point_loss: Tensor
    bound_loss: Tensor
    point_accuracy: Tensor
    verified: Tensor


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a phase minimises. `attack` and `bound` are functions or None.

    bound_draws: the bound takes a seed. bound_samples: examples of the whole batch in the bound
    term (MixTrain's k); 0 for all. start: where the attack starts; None for where it ended
    on the batch before. attack_loss: what it raises.
    """

    threat: Threat
    attack: Attack | None = None
    start: Start | None = uniform
    attack_loss: Loss = cross_entropy
    bound: Callable[..., Bounds] | None = None
    bound_draws: bool = False
    bound_samples: int = 0
    l1: float = 0.0

    def __call__(
        self,
        wiring: Wiring,
        x: Tensor,
        labels: Tensor,
        eps: Tensor,
        kappa: Tensor,
        draws: Draws,
        tape: tf.GradientTape,
    ) -> Terms:
        """The terms on a batch. The one clean pass updates and provides batch statistics."""
        region = Region(self.threat, x, eps)
        logits: Tensor | None = None
        statistics: StatisticsByCall = {}
        if self.attack is None or wiring.has_statistics:
            logits, statistics = wiring.forward(x, training=True)
        if self.attack is not None:
            with tape.stop_recording():
                point = self._attacked(wiring, statistics, region, labels, draws)
            logits, _ = wiring.forward(point, training=True, statistics=statistics)
        logits = tf.cast(logits, tf.float32)
        point_loss = tf.reduce_mean(cross_entropy(logits, labels))
        bound_loss, verified = self._bound_term(wiring, statistics, region, labels, draws)
        loss = point_loss
        if self.bound is not None:
            loss = (1.0 - kappa) * point_loss + kappa * bound_loss
        if self.l1:
            loss += self.l1 * _kernel_norm(wiring)
        return Terms(loss, point_loss, bound_loss, _accuracy(labels, logits), verified)

    def _attacked(
        self,
        wiring: Wiring,
        statistics: StatisticsByCall,
        region: Region,
        labels: Tensor,
        draws: Draws,
    ) -> Tensor:
        """The attacked points. In float32 the lowered graph is attacked: it is faster."""

        def half_precision(x: Tensor) -> Tensor:
            return wiring.forward(x, training=False, statistics=statistics)[0]

        task = Task(
            wiring.lower(statistics) if wiring.float32 else half_precision,
            region,
            labels,
            draws.keys(),
            self.attack_loss,
            scale=1.0 if wiring.float32 else ATTACK_LOSS_SCALE,
        )
        assert self.attack is not None
        point = self.attack(task, self._begin(task, draws))
        if self.start is None:
            draws.keep(point - region.x)
        return point

    def _begin(self, task: Task, draws: Draws) -> Tensor:
        if self.start is not None:
            return self.start(task)
        region = task.inward().region
        return region.project(region.x + draws.last())

    def _bound_term(
        self,
        wiring: Wiring,
        statistics: StatisticsByCall,
        region: Region,
        labels: Tensor,
        draws: Draws,
    ) -> tuple[Tensor, Tensor]:
        """The worst-case loss and the certified share, on `bound_samples` of the examples.

        A batch is a random sample already, so evenly spaced ones of its examples are one too.
        """
        if self.bound is None:
            return tf.constant(0.0), tf.constant(0.0)
        if self.bound_samples:
            count = self.bound_samples // tf.distribute.get_strategy().num_replicas_in_sync
            rows = tf.range(count) * tf.shape(labels)[0] // count
            labels = tf.gather(labels, rows)
            region = dataclasses.replace(region, x=tf.gather(region.x, rows))
        graph = wiring.lower(statistics)
        spec = margin_spec(labels, wiring.classes)
        seed = {"seed": draws.seed()} if self.bound_draws else {}
        found = self.bound(graph, region, spec, **seed)
        share = tf.reduce_mean(tf.cast(certified(found.margins), tf.float32))
        loss = worst_case_loss(found.margins) if found.loss is None else found.loss
        return tf.reduce_mean(loss), share


def worst_case_loss(margins: Tensor) -> Tensor:
    """Cross-entropy of the worst-case logits: class j gets -margin_j, the label 0. [batch].

    Source: Wong 2020 (thesis), theorem 2.
    """
    return tf.reduce_logsumexp(tf.pad(-margins, [[0, 0], [1, 0]]), axis=1)


def _accuracy(labels: Tensor, logits: Tensor) -> Tensor:
    right = tf.argmax(logits, -1) == tf.cast(labels, tf.int64)
    return tf.reduce_mean(tf.cast(right, tf.float32))


def _kernel_norm(wiring: Wiring) -> Tensor:
    """The L1 norm of all kernels, each once."""
    layers = {id(call.layer): call.layer for call in wiring.calls}
    kernels = [layer.kernel for layer in layers.values() if hasattr(layer, "kernel")]
    return tf.add_n([tf.reduce_sum(tf.abs(tf.convert_to_tensor(k))) for k in kernels])
