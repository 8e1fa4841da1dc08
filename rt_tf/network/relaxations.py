"""Lines around activations: a new activation is a function here and a row in `ACTIVATIONS`."""

import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Activation, Lines, Shared, Slope, Tensor

SLOPES = ("parallel", "adaptive")


def relu_lines(lower: Tensor, upper: Tensor, slope: Slope) -> Lines:
    """The upper face of the Ehlers triangle and a line through 0 below it.

    The lower slope is that of the face (`parallel`; Wong & Kolter, Fast-Lin) or 1 where the
    interval reaches further up than down and else 0 (`adaptive`; CROWN). Stable units are exact.
    """
    face = _face_slope(lower, upper)
    if isinstance(slope, Shared):
        face = tf.where((lower < 0.0) & (upper > 0.0), slope.slope, face)
        slope = "parallel"
    # Any slope is sound with an offset that covers both ends: relu is convex. So the rounding of
    # the slope does not matter, and a point interval needs no division.
    offset = tf.maximum(
        tf.nn.relu(lower) - face * lower,
        tf.nn.relu(upper) - face * upper,
    )
    return Lines(_lower_slope(lower, upper, face, slope), None, face, offset)


def _face_slope(lower: Tensor, upper: Tensor) -> Tensor:
    unstable = (lower < 0.0) & (upper > 0.0)
    width = tf.where(unstable, upper - lower, tf.ones_like(upper))
    return tf.where(unstable, upper / width, tf.cast(lower >= 0.0, lower.dtype))


def _lower_slope(lower: Tensor, upper: Tensor, face: Tensor, slope: Slope) -> Tensor:
    if not isinstance(slope, str):
        return tf.where((lower < 0.0) & (upper > 0.0), slope, face)
    if slope == "parallel":
        return face
    if slope == "adaptive":
        return tf.stop_gradient(tf.cast(upper > -lower, lower.dtype))
    raise UserError(f"slope: expected one of {', '.join(SLOPES)}; received '{slope}'")


RELU = Activation(tf.nn.relu, relu_lines)

ACTIVATIONS = {"relu": RELU}
