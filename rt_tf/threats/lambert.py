"""The Lambert W function of an exponential, which may itself be too large or small to represent."""

import tensorflow as tf

from rt_tf.network.ops import Tensor

LEAST = -690.0  # float64 holds exp of this; the result below it is as good as zero
STEPS = 2  # each to the fourth power: the start is off by at most a quarter


def lambert_of_exp(t: Tensor) -> Tensor:
    """W(exp(t)): the y > 0 with y + log y = t, in float64's precision; elementwise, any shape.

    The iteration of Fritsch, Shafer and Crowley (1973), from softplus(t), which is near at both
    ends.
    """
    t = tf.maximum(t, LEAST)
    y = tf.math.softplus(t)
    for _ in range(STEPS):
        error = t - tf.math.log(y) - y
        scale = 2.0 * (1.0 + y) * (1.0 + y + error * (2.0 / 3.0))
        y *= 1.0 + error / (1.0 + y) * (scale - error) / (scale - 2.0 * error)
    return y
