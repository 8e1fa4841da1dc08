"""A compiled training step of all replicas."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from rt_tf.training.loop.average import Average
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Terms

StepFunction = Callable[[Any], dict[str, tf.Tensor]]


def step_function(
    strategy: tf.distribute.Strategy,
    model: RobustModel,
    average: Average | None,
    jit_compile: bool,
    class_weights: Sequence[float] = (),
) -> StepFunction:
    """A function that takes a step on a batch and returns the terms' means over replicas.

    The batch is `(images, labels, index)`, each of them one tensor per replica. average: of the
    weights, which takes in every step. jit_compile: whether XLA compiles the step.
    class_weights: of the examples of each class in the loss, [classes]; none for one each.
    """
    by_class = tf.constant(class_weights, tf.float32) if len(class_weights) else None

    def learn(images: tf.Tensor, labels: tf.Tensor) -> Terms:
        return model.step(images, labels, None if by_class is None else tf.gather(by_class, labels))

    def step(batch: Any) -> dict[str, tf.Tensor]:
        images, labels, _ = batch
        terms = strategy.run(learn, args=(images, labels))._asdict()
        if average:
            average.update(model.network)
        return {name: strategy.reduce("MEAN", v, axis=None) for name, v in terms.items()}

    return tf.function(step, autograph=False, jit_compile=jit_compile or None)
