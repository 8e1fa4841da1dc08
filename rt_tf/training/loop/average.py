"""An exponential moving average of a network's weights, beside those that are trained."""

import keras
import tensorflow as tf


class Average:
    """A network whose weights are a moving average of another network's over its steps.

    network: of the same layers, in float32. decay: the share of the average that a step keeps, in
    [0, 1). Early on it is less, (1 + n) / (10 + n) after n steps, so that the initial weights are
    soon forgotten (tf.train.ExponentialMovingAverage does so too). The moving statistics of batch
    normalisation are averaged, too: the means of other weights do not fit the last ones'.
    """

    def __init__(self, network: keras.Model, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)

    def begin(self, trained: keras.Model) -> None:
        """Starts the average at a network's present weights."""
        self.network.set_weights(trained.get_weights())
        self.steps.assign(0)

    def update(self, trained: keras.Model) -> None:
        """Takes in a network's weights after a step; under a strategy, outside of its replicas."""
        n = tf.cast(self.steps, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + n) / (10.0 + n))
        for mean, weight in zip(self.network.weights, trained.weights, strict=True):
            now = tf.convert_to_tensor(weight)
            mean.assign(now + decay * (tf.convert_to_tensor(mean) - now))
        self.steps.assign_add(1)
