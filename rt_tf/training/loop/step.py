"""A compiled training step of all replicas."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from rt_tf.replicas import Strategy
from rt_tf.training.loop.average import Average
from rt_tf.training.model import RobustModel

StepFunction = Callable[[Any, tf.Tensor], tf.Tensor]


def step_function(
    strategy: Strategy,
    model: RobustModel,
    average: Average | None,
    jit_compile: bool,
    class_weights: Sequence[float] = (),
) -> StepFunction:
    """A function that takes a step on a batch and returns `Terms`, means over replicas: [terms].

    They are one tensor: each tensor is summed over replicas, and fetched, by itself. The batch is
    `(images, labels, index)`, each of them one tensor per replica. It comes with the step's values
    [eps, kappa, learning rate], which are set within the function: from outside, to set three
    variables takes as long as a small network's step. average: of the weights, which
    takes in every step. jit_compile: whether XLA compiles the step. class_weights: of the examples
    of each class in the loss, [classes]; none for one each.
    """
    by_class = tf.constant(class_weights, tf.float32) if len(class_weights) else None

    def learn(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        weights = None if by_class is None else tf.gather(by_class, labels)
        return tf.stack(model.step(images, labels, weights))

    def step(batch: Any, values: tf.Tensor) -> tf.Tensor:
        images, labels, _ = batch
        dials = (model.eps, model.kappa, model.optimizer.learning_rate)
        for dial, value in zip(dials, tf.unstack(values), strict=True):
            dial.assign(value)
        terms = strategy.run(learn, args=(images, labels))
        if average:
            average.update(model.network)
        return strategy.reduce("MEAN", terms, axis=None)

    return tf.function(step, autograph=False, jit_compile=jit_compile or None)
