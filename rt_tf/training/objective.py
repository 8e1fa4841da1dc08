"""The objective: `(1 - kappa) point + kappa bound + regularisers` (METHODS: one form for all)."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks.evaluation import cross_entropy
from rt_tf.bounds.result import Bounds, certified, margin_spec
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import StatisticsByCall, Wiring
from rt_tf.threats.region import Region, Threat

# Keeps small input gradients above float16's underflow; attacks use their direction alone.
ATTACK_LOSS_SCALE = 1024.0


class Draws(NamedTuple):
    """Random numbers of one step, the same however often it is taken.

    noise: uniform in [0, 1), shaped as the images. seed: [2] integers, for a bound that draws.
    """

    noise: Callable[[], Tensor]
    seed: Callable[[], Tensor]


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
    term (MixTrain's k); 0 for all. attack_step_size: in units of eps; 0 for the attack's own.
    """

    threat: Threat
    attack: Callable[..., Tensor] | None = None
    attack_steps: int = 10
    attack_step_size: float = 0.0
    random_start: bool = True
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
        point_loss = tf.reduce_mean(_cross_entropy(labels, logits))
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
        graph = wiring.lower(statistics)

        def half_precision(x: Tensor) -> Tensor:
            return wiring.forward(x, training=False, statistics=statistics)[0]

        def scaled(x: Tensor) -> Tensor:
            return ATTACK_LOSS_SCALE * cross_entropy(half_precision, labels)(x)

        assert self.attack is not None
        return self.attack(
            cross_entropy(graph, labels) if wiring.float32 else scaled,
            region,
            draws.noise() if self.random_start else None,
            steps=self.attack_steps,
            step_size=self.attack_step_size,
        )

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


def _cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def _accuracy(labels: Tensor, logits: Tensor) -> Tensor:
    right = tf.argmax(logits, -1) == tf.cast(labels, tf.int64)
    return tf.reduce_mean(tf.cast(right, tf.float32))


def _kernel_norm(wiring: Wiring) -> Tensor:
    """The L1 norm of all kernels, each once."""
    layers = {id(call.layer): call.layer for call in wiring.calls}
    kernels = [layer.kernel for layer in layers.values() if hasattr(layer, "kernel")]
    return tf.add_n([tf.reduce_sum(tf.abs(tf.convert_to_tensor(k))) for k in kernels])
