"""Products over the last axis, and scalings by channel or by place, as affine operations."""

import math

import keras
import tensorflow as tf

from rt_tf.network.activations import activation_steps
from rt_tf.network.lowerings.weights import bias_of, product, value
from rt_tf.network.ops import Affine, Tensor, Window
from rt_tf.network.steps import Call, Statistics, Step

EVERYWHERE = Window(tf.multiply)


def dense(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of matrix products over the last axis."""
    kernel = value(layer.kernel)
    inputs, units = kernel.shape
    op = product(tf.matmul, kernel, bias_of(layer, units), (inputs, units))
    return [Step(op), *activation_steps(layer, call)]


def batch_normalization(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of a scale and a shift by channel, from the call's statistics or moving ones."""
    mean, variance = call.statistics or _moving_statistics(layer)
    scale = tf.math.rsqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * value(layer.gamma)
    beta = value(layer.beta) if layer.center else tf.zeros_like(mean)
    # The scale takes a few roundings of its own to compute: they count as further terms.
    magnitude = tf.abs(beta) + tf.abs(mean * scale)
    rank = len(call.input_shapes[0])
    axes_after = rank - layer.axis % (rank + 1)
    kernel, bias, magnitude = (
        tf.reshape(constants, [-1, *[1] * axes_after])
        for constants in (scale, beta - mean * scale, magnitude)
    )
    window = _everywhere(kernel, bias)
    return [Step(Affine(tf.multiply, kernel, bias, 8, 8, magnitude, window))]


def normalization(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of inputs less their mean, over their deviation, or the inverse of that."""
    rank = len(call.input_shapes[0])
    mean, variance = _unbatched(layer.mean, rank), _unbatched(layer.variance, rank)
    deviation = tf.maximum(tf.sqrt(variance), keras.config.epsilon())
    scale = deviation if layer.invert else 1.0 / deviation
    shift = mean if layer.invert else -mean * scale
    return [Step(Affine(tf.multiply, scale, shift, 8, 8, tf.abs(shift), _everywhere(scale, shift)))]


def rescaling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of inputs times a constant, plus a constant."""
    rank = len(call.input_shapes[0])
    scale, offset = _unbatched(layer.scale, rank), _unbatched(layer.offset, rank)
    window = _everywhere(scale, offset)
    return [Step(Affine(tf.multiply, scale, offset, 2, 2, tf.abs(offset), window))]


def _everywhere(*constants: Tensor) -> Window | None:
    """The window of a product by channel; None where a constant differs by place."""
    alike = all(math.prod(constant.shape[:-1]) == 1 for constant in constants)
    return EVERYWHERE if alike else None


def _moving_statistics(layer: keras.layers.BatchNormalization) -> Statistics:
    """The statistics that batch normalisation uses at inference."""
    return Statistics(value(layer.moving_mean), value(layer.moving_variance))


def _unbatched(number: object, rank: int) -> Tensor:
    """A constant in float32 that broadcasts against one example of this rank."""
    constant = tf.cast(tf.convert_to_tensor(number), tf.float32)
    return tf.reshape(constant, constant.shape[max(0, constant.shape.rank - rank) :])
