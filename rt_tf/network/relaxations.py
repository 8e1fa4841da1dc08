"""Lines around activations: a new one is a curve in `curves` and a row in `ACTIVATIONS`."""

import functools

import keras
import tensorflow as tf

from rt_tf.network.curves import bent, exponentials, gated, powers, s_shaped
from rt_tf.network.curves.curve import NARROW, NEVER, Curve, Pair
from rt_tf.network.curves.lines import chosen, curve_lines, extremes_in_domain, lines_in_domain
from rt_tf.network.curves.waves import COS as COSINE
from rt_tf.network.curves.waves import SIN as SINE
from rt_tf.network.ops import Activation, Lines, Slope, Tensor


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
    """The activation z where z > 0, else negative_slope z.

    For slopes from 0 (ReLU) to 1 all lower lines pass through 0. Its one product rounds once.
    """
    if not 0.0 <= negative_slope <= 1.0:
        return kinked(negative_slope)
    fn = functools.partial(_rectified, negative_slope=negative_slope)
    lines = functools.partial(relu_lines, negative_slope=negative_slope)
    return Activation(fn, lines, ulps=0.0 if negative_slope == 0.0 else 2.0, rectifies=True)


def clipped_relu(max_value: float, negative_slope: float = 0.0) -> Activation:
    """A ReLU, leaky or not, that rises no further than max_value >= 0."""
    if max_value == 0.0:
        return kinked(negative_slope, 0.0)
    fn = functools.partial(
        keras.activations.relu, negative_slope=negative_slope, max_value=max_value
    )
    return curved(bent.bent(fn, 0.0, max_value, negative_slope))


def clip(low: float, high: float) -> Activation:
    """The activation that cuts values off below `low` and above `high`."""
    return curved(bent.bent(lambda z: tf.clip_by_value(z, low, high), low, high))


def curved(curve: Curve) -> Activation:
    """An activation with the lines of its curve."""
    domain = curve.domain
    if domain is None:
        lines = functools.partial(curve_lines, curve)
        extremes = None if curve.turns is None else curve.extremes
        return Activation(curve.fn, lines, curve.ulps, curve.absolute, extremes=extremes)
    return Activation(
        curve.fn,
        functools.partial(lines_in_domain, curve, domain),
        curve.ulps,
        curve.absolute,
        extremes=functools.partial(extremes_in_domain, curve, domain),
        domain=None if domain.bound < NEVER else domain.words,
    )


def power(exponent: float) -> Activation:
    """The activation z^exponent, of z > 0 unless the exponent is whole and above 1.

    ValueError for the exponents 0 and 1, which need no activation.
    """
    return curved(powers.power(exponent))


def kinked(negative_slope: float | Tensor, positive_slope: float = 1.0) -> Activation:
    """Two straight pieces that meet in 0, of any slopes.

    negative_slope: a number, or slopes by unit that broadcast against [batch, ...].
    """
    return curved(bent.kinked(negative_slope, positive_slope))


RELU = leaky_relu(0.0)
ABS = curved(bent.ABSOLUTE)
COS = curved(COSINE)
ERF = curved(s_shaped.ERF)
EXP = curved(exponentials.EXP)
LOG = curved(powers.LOG)
RECIPROCAL = curved(powers.RECIPROCAL)
RSQRT = curved(powers.RSQRT)
SATURATING_EXP = curved(exponentials.SATURATING_EXP)
SIN = curved(SINE)
SQRT = curved(powers.SQRT)
SQUARE = curved(powers.SQUARE)

# By the names of keras.activations, with their default settings.
ACTIVATIONS = {
    "relu": RELU,
    "leaky_relu": leaky_relu(0.2),
    "relu6": clipped_relu(6.0),
    "hard_tanh": curved(bent.bent(keras.activations.hard_tanh, -1.0, 1.0)),
    "hard_sigmoid": curved(bent.HARD_SIGMOID),
    "sparse_sigmoid": curved(bent.SPARSE_SIGMOID),
    "soft_shrink": curved(bent.SOFT_SHRINK),
    "sparse_plus": curved(bent.SPARSE_PLUS),
    "hard_silu": curved(gated.HARD_SILU),
    "sigmoid": curved(s_shaped.SIGMOID),
    "tanh": curved(s_shaped.TANH),
    "softsign": curved(s_shaped.SOFTSIGN),
    "tanh_shrink": curved(s_shaped.TANH_SHRINK),
    "softplus": curved(exponentials.SOFTPLUS),
    "log_sigmoid": curved(exponentials.LOG_SIGMOID),
    "exponential": EXP,
    "elu": curved(exponentials.elu(1.0)),
    "celu": curved(exponentials.celu(1.0)),
    "selu": curved(exponentials.SELU),
    "gelu": curved(gated.GELU),
    "silu": curved(gated.SILU),
    "mish": curved(gated.MISH),
}
APPROXIMATE_GELU = curved(gated.APPROXIMATE_GELU)

# By the names of keras.ops.
FUNCTIONS = {
    "abs": ABS,
    "absolute": ABS,
    "cos": COS,
    "erf": ERF,
    "exp": EXP,
    "log": LOG,
    "reciprocal": RECIPROCAL,
    "rsqrt": RSQRT,
    "sin": SIN,
    "sqrt": SQRT,
    "square": SQUARE,
}
