"""The optimizer and the training loop's settings, from flags."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from absl import flags

from pipelines.assembly import monitoring
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.training.loop.state import LoopSettings
from rt_tf.training.phases import Phase

MOMENTUM = 0.9  # sgd's default


def optimizer_maker(values: flags.FlagValues) -> Callable[[], keras.optimizers.Optimizer]:
    """A function that makes a new optimizer, which scales the loss under mixed_float16."""
    decay = values.weight_decay or None
    momentum = MOMENTUM if values.momentum is None else values.momentum

    def make() -> keras.optimizers.Optimizer:
        if values.optimizer == "adam":
            optimizer: Any = keras.optimizers.Adam(1e-3, weight_decay=decay)
        else:
            optimizer = keras.optimizers.SGD(
                1e-3, momentum=momentum, nesterov=values.nesterov, weight_decay=decay
            )
        if values.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    return make


def settings(values: flags.FlagValues, phases: list[Phase], dataset: data.DataSet) -> LoopSettings:
    """The loop's settings."""
    return LoopSettings(
        batch_size=values.batch_size,
        seed=values.seed,
        select_by=monitoring.selection(values, phases),
        monitor_every=values.monitor_every,
        monitor_samples=values.monitor_samples,
        checkpoint_seconds=values.checkpoint_seconds,
        jit_compile=values.jit_compile,
        clip_norm=values.clip_norm,
        stable_tolerance=values.stable_tolerance,
        augmentation=data.AugmentationOptions(values.augment, values.cutout, values.flips),
        class_weights=_class_weights(values, phases, dataset),
    )


def _class_weights(
    values: flags.FlagValues, phases: list[Phase], dataset: data.DataSet
) -> tuple[float, ...]:
    """The weight of each class, by which all classes have one share of the loss; none for one each.

    UserError with mixup, whose examples stand for two.
    """
    if values.class_weights == "none":
        return ()
    if any(phase.mixup for phase in phases):
        raise UserError("class_weights: expected none with --mixup; received balanced")
    counts = np.bincount(dataset.train.labels, minlength=dataset.classes)
    return tuple((len(dataset.train) / (dataset.classes * np.maximum(counts, 1))).tolist())
