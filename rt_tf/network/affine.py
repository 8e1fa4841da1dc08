"""Layers with weights, and the scaling of inputs, as affine operations."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.activations import activation_steps
from rt_tf.network.convolution import Convolution
from rt_tf.network.groups import DepthwiseConvolution, grouped
from rt_tf.network.ops import Affine, Tensor, Window
from rt_tf.network.steps import Call, Statistics, Step, refuse_channels_first

EVERYWHERE = Window(tf.multiply)


def dense(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of matrix products over the last axis."""
    kernel = _value(layer.kernel)
    op = _affine(tf.matmul, kernel, layer, *kernel.shape)
    return [Step(op), *activation_steps(layer, call)]


def conv2d(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of convolutions, of all channels or in groups of them."""
    refuse_channels_first(layer)
    kernel = _value(layer.kernel)
    rows, columns, channels, filters = kernel.shape  # channels of one group, filters of all
    convolve = Convolution(layer.strides, layer.padding.upper(), layer.dilation_rate)
    window = convolve.window(call.input_shapes[0], kernel.shape)
    op = _affine(
        grouped(convolve, layer.groups),
        kernel,
        layer,
        rows * columns * channels,
        rows * columns * (filters // layer.groups),
        window._replace(fn=grouped(window.fn, layer.groups)),
    )
    return [Step(op), *activation_steps(layer, call)]


def depthwise_conv2d(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of convolutions of every channel by itself."""
    refuse_channels_first(layer)
    kernel = _value(layer.kernel)
    rows, columns, channels, multiplier = kernel.shape
    convolve = DepthwiseConvolution(layer.strides, layer.padding, layer.dilation_rate)
    bias = _value(layer.bias) if layer.use_bias else tf.zeros([channels * multiplier])
    terms, window = rows * columns, convolve.window(call.input_shapes[0], kernel.shape)
    op = Affine(convolve, kernel, bias, terms, terms * multiplier, tf.abs(bias), window)
    return [Step(op), *activation_steps(layer, call)]


def batch_normalization(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of a scale and a shift by channel, from the call's statistics or moving ones.

    UserError unless the channels are on the last axis.
    """
    if layer.axis not in (-1, len(call.input_shapes[0])):
        raise UserError(
            f"layer '{layer.name}': expected batch normalisation over the last axis; "
            f"received axis={layer.axis}"
        )
    mean, variance = call.statistics or _moving_statistics(layer)
    scale = tf.math.rsqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * _value(layer.gamma)
    beta = _value(layer.beta) if layer.center else tf.zeros_like(mean)
    # The scale takes a few roundings of its own to compute: they count as further terms.
    magnitude = tf.abs(beta) + tf.abs(mean * scale)
    return [Step(Affine(tf.multiply, scale, beta - mean * scale, 8, 8, magnitude, EVERYWHERE))]


def normalization(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of inputs less their mean, over their deviation; UserError for its inverse."""
    if layer.invert:
        raise UserError(f"layer '{layer.name}': expected invert=False; received invert=True")
    rank = len(call.input_shapes[0])
    mean, variance = _unbatched(layer.mean, rank), _unbatched(layer.variance, rank)
    scale = 1.0 / tf.maximum(tf.sqrt(variance), keras.config.epsilon())
    shift = -mean * scale
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


def _affine(
    fn: Callable[[Tensor, Tensor], Tensor],
    kernel: Tensor,
    layer: keras.layers.Layer,
    terms: int,
    transposed_terms: int,
    window: Window | None = None,
) -> Affine:
    bias = _value(layer.bias) if layer.use_bias else tf.zeros([kernel.shape[-1]])
    return Affine(fn, kernel, bias, terms, transposed_terms, tf.abs(bias), window)


def _moving_statistics(layer: keras.layers.BatchNormalization) -> Statistics:
    """The statistics that batch normalisation uses at inference."""
    return Statistics(_value(layer.moving_mean), _value(layer.moving_variance))


def _value(variable: keras.Variable) -> Tensor:
    """A weight in float32, whatever the layer's policy."""
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def _unbatched(value: object, rank: int) -> Tensor:
    """A constant in float32 that broadcasts against one example of this rank."""
    constant = tf.cast(tf.convert_to_tensor(value), tf.float32)
    return tf.reshape(constant, constant.shape[max(0, constant.shape.rank - rank) :])
