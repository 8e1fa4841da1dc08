"""Lines around activations: a new one is a curve in `functions` and a row in `ACTIVATIONS`."""

import functools
from typing import Protocol

import keras
import tensorflow as tf

from rt_tf.errors import refuse_unknown
from rt_tf.network import functions
from rt_tf.network.curves import NARROW, Curve, Envelopes, Pair
from rt_tf.network.ops import Activation, Lines, Shared, Slope, Tensor

SLOPES = ("parallel", "adaptive")


class Slopes(Protocol):
    """The slopes of the lower and the upper line on an interval, elementwise, by each rule."""

    def parallel(self) -> Pair:
        """One slope for both, with the least distance between the lines."""

    def adaptive(self) -> Pair:
        """The slopes of the lines nearest to the function in the middle (CROWN)."""

    def optimised(self, share: Tensor) -> Pair:
        """The lower slope, from the least useful (share 0) to the largest (1), elementwise."""

    def shared(self, share: Tensor) -> Pair:
        """One slope for both, from the least useful (share 0) to the largest (1), elementwise."""


def chosen(slopes: Slopes, slope: Slope) -> Pair:
    """The slopes by a rule's name, a tensor or `Shared`; UserError for other names."""
    if isinstance(slope, Shared):
        return slopes.shared(slope.slope)
    if not isinstance(slope, str):
        return slopes.optimised(slope)
    refuse_unknown("slope", slope, SLOPES)
    return slopes.parallel() if slope == "parallel" else slopes.adaptive()


def curve_lines(curve: Curve, lower: Tensor, upper: Tensor, slope: Slope) -> Lines:
    """The lines around any curve between lower and upper ends, each [batch, ...]."""
    return curve.lines(lower, upper, chosen(Envelopes(curve, lower, upper), slope))


def relu_lines(lower: Tensor, upper: Tensor, slope: Slope, negative_slope: float = 0.0) -> Lines:
    """The upper face of the Ehlers triangle, and a line through 0 below: each [batch, ...].

    lower, upper: ends, [batch, ...]. A leaky ReLU has like lines. Stable units are exact. Sources:
    Wong & Kolter 2018 and Fast-Lin (`parallel`); Zhang et al. 2018, CROWN (`adaptive`).
    """
    below, above = chosen(_Rectified(lower, upper, negative_slope), slope)
    # Any slope is sound with an offset that covers both ends: the function is convex. So the
    # rounding of the slope does not matter, and a point interval needs no division.
    offset = tf.maximum(
        _rectified(lower, negative_slope) - above * lower,
        _rectified(upper, negative_slope) - above * upper,
    )
    return Lines(below, None, above, offset)


class _Rectified:
    """The slopes of a leaky ReLU: `negative_slope + (1 - negative_slope) s`, s a slope of ReLU."""

    def __init__(self, lower: Tensor, upper: Tensor, negative_slope: float) -> None:
        self.lower, self.upper = lower, upper
        self.negative_slope = negative_slope
        self.unstable = tf.minimum(-lower, upper) > NARROW
        width = tf.where(self.unstable, upper - lower, tf.ones_like(upper))
        stable = tf.cast(upper >= -lower, lower.dtype)
        self.face = tf.where(self.unstable, upper / width, stable)

    def parallel(self) -> Pair:
        face = self._leaky(self.face)
        return face, face

    def adaptive(self) -> Pair:
        """The lower slope is 1 where the interval reaches further up than down, and else 0."""
        lower = tf.stop_gradient(tf.cast(self.upper > -self.lower, self.lower.dtype))
        return self._leaky(lower), self._leaky(self.face)

    def optimised(self, share: Tensor) -> Pair:
        return self._leaky(self._free(share)), self._leaky(self.face)

    def shared(self, share: Tensor) -> Pair:
        slope = self._leaky(self._free(share))
        return slope, slope

    def _free(self, share: Tensor) -> Tensor:
        """The share, clipped, since outside [0, 1] a line through 0 is no bound."""
        return tf.where(self.unstable, tf.clip_by_value(share, 0.0, 1.0), self.face)

    def _leaky(self, slope: Tensor) -> Tensor:
        a = self.negative_slope
        return slope if a == 0.0 else a + (1.0 - a) * slope


def _rectified(z: Tensor, negative_slope: float) -> Tensor:
    return tf.nn.relu(z) if negative_slope == 0.0 else tf.nn.leaky_relu(z, negative_slope)


def leaky_relu(negative_slope: float) -> Activation:
    """The activation max(z, negative_slope z), for slopes from 0 (ReLU) to 1.

    Its one product rounds once.
    """
    fn = functools.partial(_rectified, negative_slope=negative_slope)
    lines = functools.partial(relu_lines, negative_slope=negative_slope)
    return Activation(fn, lines, ulps=0.0 if negative_slope == 0.0 else 2.0, rectifies=True)


def clipped_relu(max_value: float, negative_slope: float = 0.0) -> Activation:
    """A ReLU, leaky or not, that rises no further than max_value."""
    fn = functools.partial(
        keras.activations.relu, negative_slope=negative_slope, max_value=max_value
    )
    return curved(functions.bent(fn, 0.0, max_value, negative_slope))


def curved(curve: Curve) -> Activation:
    """An activation with the lines of its curve."""
    lines = functools.partial(curve_lines, curve)
    return Activation(curve.fn, lines, curve.ulps, curve.absolute)


RELU = leaky_relu(0.0)

# By the names of keras.activations, with their default settings.
ACTIVATIONS = {
    "relu": RELU,
    "leaky_relu": leaky_relu(0.2),
    "relu6": clipped_relu(6.0),
    "hard_tanh": curved(functions.bent(keras.activations.hard_tanh, -1.0, 1.0)),
    "sigmoid": curved(functions.SIGMOID),
    "tanh": curved(functions.TANH),
    "softplus": curved(functions.SOFTPLUS),
    "elu": curved(functions.elu(1.0)),
}
