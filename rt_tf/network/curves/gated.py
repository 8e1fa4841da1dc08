"""GELU, SiLU, mish, and the hard SiLU, which has straight pieces and a parabola.

Errors measured: SiLU 8.4; mish 8.4, but fused ones are zero below -16.6, where the value is 17;
GELU 4 and 16.7 absolute; its approximation 4 and 11.5 absolute; hard SiLU 3.2, and in convolutions
1.0 absolute. Absolute ones are in the same unit.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from rt_tf.network.curves.curve import NEVER, UNIT, ConcaveStart, Curve
from rt_tf.network.curves.gates import Gate, gated
from rt_tf.network.curves.s_shaped import FLUSHED
from rt_tf.network.curves.tables import Numbers
from rt_tf.network.ops import Tensor


def _silu_slope(z: Tensor) -> Tensor:
    p = tf.sigmoid(z)
    return p + z * p * (1.0 - p)


SILU = gated(
    keras.activations.silu,
    _silu_slope,
    Gate(
        value=lambda z: z * special.expit(z),
        slope=lambda z: special.expit(z) * (1.0 + z * special.expit(-z)),
        flexes=(-2.399357, 2.399357),
        turn=-1.2784645,
    ),
    ulps=36.0,
    absolute=128.0 * FLUSHED,
)


def _normal(z: Numbers) -> Numbers:
    """The density of the normal distribution."""
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _gelu_slope(z: Tensor) -> Tensor:
    density = tf.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return 0.5 + 0.5 * tf.math.erf(z * math.sqrt(0.5)) + z * density


GELU = gated(
    keras.activations.gelu,
    _gelu_slope,
    Gate(
        value=lambda z: z * special.ndtr(z),
        slope=lambda z: special.ndtr(z) + z * _normal(z),
        flexes=(-1.4142136, 1.4142136),
        turn=-0.7517915,
    ),
    ulps=16.0,
    absolute=67.0 * UNIT,
)

INNER, CUBIC = 0.7978845608028654, 0.044715  # of the approximate GELU, z p(2 INNER (z + CUBIC z^3))
STRAIGHT = 20.0  # beyond it that GELU is 0 or z in float64, too


def _approximate_gelu(z: Tensor) -> Tensor:
    """The approximate GELU, with gradients where the cube overflows.

    The values are those of Keras, which is 0 and z beyond STRAIGHT.
    """
    near = tf.clip_by_value(z, -STRAIGHT, STRAIGHT)
    value = keras.activations.gelu(near, approximate=True)
    return tf.where(tf.abs(z) <= STRAIGHT, value, tf.nn.relu(z))


def _approximate_gelu_slope(z: Tensor) -> Tensor:
    near = tf.clip_by_value(z, -STRAIGHT, STRAIGHT)
    square = near * near
    p = tf.sigmoid(2.0 * INNER * near * (1.0 + CUBIC * square))
    return p + 2.0 * INNER * near * p * (1.0 - p) * (1.0 + 3.0 * CUBIC * square)


def _cubic(z: Numbers) -> Numbers:
    return 2.0 * INNER * (z + CUBIC * z**3)


APPROXIMATE_GELU = gated(
    _approximate_gelu,
    _approximate_gelu_slope,
    Gate(
        value=lambda z: z * special.expit(_cubic(z)),
        slope=lambda z: (
            special.expit(_cubic(z))
            * (1.0 + 2.0 * INNER * (z + 3.0 * CUBIC * z**3) * special.expit(-_cubic(z)))
        ),
        flexes=(-1.418504, 1.418504),
        turn=-0.7524614,
    ),
    ulps=16.0,
    absolute=46.0 * UNIT,
)


def _mish_slope(z: Tensor) -> Tensor:
    gate = tf.tanh(tf.nn.softplus(z))
    return gate + z * (1.0 - gate) * (1.0 + gate) * tf.sigmoid(z)


def _mish_gate(z: Numbers) -> Numbers:
    return np.tanh(np.logaddexp(0.0, z))


MISH = gated(
    keras.activations.mish,
    _mish_slope,
    Gate(
        value=lambda z: z * _mish_gate(z),
        slope=lambda z: _mish_gate(z) + z * (1.0 - _mish_gate(z) ** 2) * special.expit(z),
        flexes=(-2.256376, 1.490571),
        turn=-1.1924312,
    ),
    ulps=36.0,
    absolute=68.0 * UNIT,
)


def _hard_silu_slope(z: Tensor) -> Tensor:
    return tf.where(tf.abs(z) < 3.0, z / 3.0 + 0.5, tf.cast(z >= 3.0, z.dtype))


# Straight up to -3, a parabola up to 3, and straight; it bends down at both.
HARD_SILU = Curve(
    fn=keras.activations.hard_silu,
    derivative=_hard_silu_slope,
    critical=lambda s: [-3.0, 3.0, 3.0 * s - 1.5],
    below=lambda upper: tf.where(
        upper > 3.0, 3.0 / (1.0 + tf.sqrt(tf.nn.relu(1.0 - 3.0 / tf.maximum(upper, 3.0)))), upper
    ),
    above=lambda lower: tf.where(lower > 0.0, tf.cast(3.0, lower.dtype), NEVER),
    start=ConcaveStart(
        below=lambda lower: tf.where(
            lower < -3.0,
            -3.0 / (1.0 + tf.sqrt(tf.nn.relu(1.0 + 3.0 / tf.minimum(lower, -3.0)))),
            lower,
        ),
        above=lambda upper: tf.where(upper < 0.0, tf.cast(-3.0, upper.dtype), -NEVER),
    ),
    turns=(-1.5,),
    ulps=13.0,
    absolute=4.0 * UNIT,
)
