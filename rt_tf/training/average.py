"""An exponential moving average of a network's weights, beside those that are trained."""

import keras
import tensorflow as tf


class Average:
    """A network whose weights are the mean of another's over its steps, the last ones foremost.

    network: of the same layers, in float32. decay: of a step's weights at the next step, in [0, 1).
    Early on it is less, (1 + n) / (10 + n) after n steps, so that the initial weights are soon
    forgotten (as in tf.train.ExponentialMovingAverage). The moving statistics of batch
    normalisation are averaged, too: the means of other weights do not fit the last ones'.
    """

    def __init__(self, network: keras.Model, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)

    def begin(self, trained: keras.Model) -> None:
        """Takes a network's weights as they are: what was before is forgotten."""
        self.network.set_weights(trained.get_weights())
        self.steps.assign(0)

    def update(self, trained: keras.Model) -> None:
        """Takes in a network's weights after a step. For a strategy: outside its replicas."""
        n = tf.cast(self.steps, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + n) / (10.0 + n))
        for mean, weight in zip(self.network.weights, trained.weights, strict=True):
            now = tf.convert_to_tensor(weight)
            mean.assign(now + decay * (tf.convert_to_tensor(mean) - now))
        self.steps.assign_add(1)
