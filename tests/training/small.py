"""A small network, a batch for it, and a training step on both."""

import keras
import numpy as np
import tensorflow as tf

from rt_tf import layers
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective

CLASSES = 3


def network(batch_norm: bool = False, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((4, 4, 1))
    x = layers.Conv2D(3, 3, padding="same")(pixels)
    x = layers.BatchNormalization()(x) if batch_norm else x
    x = layers.Flatten()(layers.ReLU()(x))
    return keras.Model(pixels, layers.Dense(CLASSES)(layers.Dense(8, activation="relu")(x)))


def batch(size: int = 6) -> tuple[tf.Tensor, tf.Tensor]:
    draw = np.random.default_rng(0)
    return (
        tf.constant(draw.random((size, 4, 4, 1)), tf.float32),
        tf.constant(draw.integers(0, CLASSES, size)),
    )


def compiled(objective: Objective, net: keras.Model, **settings: float) -> RobustModel:
    model = RobustModel(net)
    settings = {"eps": 0.0, "kappa": 0.0, **settings}
    model.compile(keras.optimizers.SGD(0.1), objective=objective, **settings)
    return model


def step(model: RobustModel, examples: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
    """A step's own terms, by name."""
    return model.step(*examples)._asdict()


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> float:
    rows = np.asarray(logits, np.float64)
    losses = np.log(np.exp(rows).sum(1)) - rows[np.arange(len(rows)), np.asarray(labels)]
    return float(losses.mean())
