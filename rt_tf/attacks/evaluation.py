"""The worst case of an attack over restarts, judged by the network and the region alone."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.pgd import Loss
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

Network = Callable[[Tensor], Tensor]
Attack = Callable[..., Tensor]


class Attacked(NamedTuple):
    """success: [batch] bool. x: the first counterexample found, else the last point tried."""

    success: Tensor
    x: Tensor


def cross_entropy(network: Network, labels: Tensor) -> Loss:
    """The loss of each example as a function of the point."""

    def loss(x: Tensor) -> Tensor:
        logits = tf.cast(network(x), tf.float32)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    return loss


def predict(network: Network, x: Tensor) -> Tensor:
    """The class of the largest logit."""
    return tf.argmax(network(x), axis=-1, output_type=tf.int64)


def attack_with_restarts(
    network: Network,
    attack: Attack,
    region: Region,
    labels: Tensor,
    index: Tensor,
    *,
    seed: Tensor,
    restarts: int,
    steps: int,
    step_size: float,
) -> Attacked:
    """Attacks every example `restarts` times from random starts keyed on (seed, restart, index)."""
    shape = region.x.shape[1:].as_list()
    best = Attacked(tf.zeros(tf.shape(labels), tf.bool), region.x)
    for restart in range(restarts):
        start = noise.by_example(tf.random.fold_in(seed, restart), index, shape)
        x = attack(cross_entropy(network, labels), region, start, steps=steps, step_size=step_size)
        success = (predict(network, x) != labels) & region.inside(x)
        best = Attacked(best.success | success, _choose(best.success, best.x, x))
    return best


def _choose(found: Tensor, before: Tensor, x: Tensor) -> Tensor:
    return tf.where(tf.reshape(found, [-1] + [1] * (x.shape.rank - 1)), before, x)
