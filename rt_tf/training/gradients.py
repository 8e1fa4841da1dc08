"""Gradients of a whole batch, of which each replica has a part."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from rt_tf import replicas
from rt_tf.network.ops import Tensor


def of_batch(
    gradients: Sequence[Tensor], optimizer: keras.optimizers.Optimizer, clip_norm: float
) -> list[Tensor]:
    """The whole batch's gradients, clipped, so that the optimizer's sum over replicas is right.

    gradients: of this replica's share of the loss, as the optimizer scales it; each has any shape,
    its variable's. clip_norm: their largest global norm, over all replicas; 0 for no limit.

    Keras clips, and looks for infinities, before it sums over replicas: too early for both. Where
    neither is asked for, its own sum is the only one.
    """
    several = replicas.count()
    looks = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if not (clip_norm or looks):
        return list(gradients)
    total = replicas.totals(gradients)
    if clip_norm:
        scale = optimizer.scale_loss(tf.constant(1.0))
        total, _ = tf.clip_by_global_norm(total, clip_norm * scale)
    return [gradient / several for gradient in total] if several > 1 else total
