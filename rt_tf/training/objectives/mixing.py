"""Mixup: images and losses of pairs of examples, mixed."""

import dataclasses

import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.training.objectives.batch import Batch


def mixed(batch: Batch, alpha: float) -> Batch:
    """The batch with each image mixed with its neighbour, in a proportion from Beta(alpha, alpha).

    A batch is in random order, so a neighbour is a random one, on whatever number of replicas. The
    loss mixes those with the two labels; attacks that raise it must move all examples together.
    UserError for weights, since an example stands for two. Source: Zhang et al. 2018.
    """
    if batch.weights is not None:
        raise UserError(
            "sample_weight, class_weight: expected none with mixup, which makes one example of "
            "two; received some"
        )
    share, x = beta(batch.draws.seed(), alpha), batch.region.x
    rows = tf.range(tf.shape(batch.labels)[0])
    partners = tf.minimum(tf.bitwise.bitwise_xor(rows, 1), rows[-1])
    labels = tf.gather(batch.labels, partners)
    images = share * x + (1.0 - share) * tf.gather(x, partners)
    unmixed = batch.loss

    def loss(logits: Tensor, first: Tensor, targets: Tensor | None = None) -> Tensor:
        return share * unmixed(logits, first, targets) + (1.0 - share) * unmixed(
            logits, labels, targets
        )

    return dataclasses.replace(batch, region=dataclasses.replace(batch.region, x=images), loss=loss)


def beta(seed: Tensor, alpha: float) -> Tensor:
    """A draw of Beta(alpha, alpha): a scalar. seed: [2] integers.

    A / (A + B) of two draws of Gamma(alpha), in logarithms, as both underflow for a small alpha:
    Gamma(alpha) is Gamma(alpha + 1) times U^(1 / alpha).
    """
    gamma = tf.random.stateless_gamma([2], seed, alpha + 1.0)
    uniform = tf.random.stateless_uniform([2], tf.random.fold_in(seed, 1), 1e-30)
    first, second = tf.unstack(tf.math.log(gamma) + tf.math.log(uniform) / alpha)
    return tf.sigmoid(first - second)
