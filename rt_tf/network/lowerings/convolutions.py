"""Convolutional layers along one, two or three axes, as affine operations."""

import math

import keras

from rt_tf.network.activations import activation_steps
from rt_tf.network.lowerings.weights import bias_of, product, value
from rt_tf.network.maps.convolution import Convolution
from rt_tf.network.maps.groups import Bilinear, DepthwiseConvolution, grouped
from rt_tf.network.maps.one_row import OneRow
from rt_tf.network.maps.transposed import (
    TransposedConvolution,
    TransposedVolumeConvolution,
    taps_of_one_output,
    transposed_length,
)
from rt_tf.network.maps.volumes import VolumeConvolution
from rt_tf.network.ops import Tensor, Window
from rt_tf.network.steps import Call, Step


def convolution(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of convolutions, of all channels or in groups of them."""
    kernel = value(layer.kernel)
    *taps, channels, filters = kernel.shape  # channels of one group, filters of all
    terms = math.prod(taps) * channels, math.prod(taps) * (filters // layer.groups)
    fn, window = _convolution(layer, call, kernel)
    op = product(grouped(fn, layer.groups), kernel, bias_of(layer, filters), terms, window)
    return [Step(op), *activation_steps(layer, call)]


def _convolution(
    layer: keras.layers.Layer, call: Call, kernel: Tensor
) -> tuple[Bilinear, Window | None]:
    """The convolution of one group, and the window of all groups."""
    strides, dilations = tuple(layer.strides), tuple(layer.dilation_rate)
    if layer.padding == "causal":  # sequences alone: what comes before, comes before all taps
        before = (kernel.shape[0] - 1) * dilations[0]
        return OneRow(Convolution((1, *strides), "VALID", (1, *dilations)), before), None
    padding = layer.padding.upper()
    if layer.rank == 1:
        return OneRow(Convolution((1, *strides), padding, (1, *dilations))), None
    if layer.rank == 3:
        return VolumeConvolution(strides, padding, dilations), None
    convolve = Convolution(strides, padding, dilations)
    window = convolve.window(call.input_shapes[0], kernel.shape)
    return convolve, window._replace(fn=grouped(window.fn, layer.groups))


def depthwise_convolution(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of convolutions of every channel by itself."""
    kernel = value(layer.kernel)
    *taps, channels, multiplier = kernel.shape
    fn, window = _depthwise(layer, call, kernel)
    terms = math.prod(taps), math.prod(taps) * multiplier
    bias = bias_of(layer, channels * multiplier)
    op = product(fn, kernel, bias, terms, window)
    return [Step(op), *activation_steps(layer, call)]


def separable_convolution(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of convolutions of every channel by itself, then of all channels at each place."""
    depthwise, pointwise = value(layer.depthwise_kernel), value(layer.pointwise_kernel)
    *taps, channels, multiplier = depthwise.shape
    fn, window = _depthwise(layer, call, depthwise)
    first = product(fn, depthwise, None, (math.prod(taps), math.prod(taps) * multiplier), window)
    mix: Bilinear = Convolution((1, 1), "VALID", (1, 1))
    mixed = Window(mix) if layer.rank == 2 else None
    terms = channels * multiplier, pointwise.shape[-1]
    bias = bias_of(layer, pointwise.shape[-1])
    second = product(mix if layer.rank == 2 else OneRow(mix), pointwise, bias, terms, mixed)
    return [Step(first), Step(second, (1,)), *activation_steps(layer, call, at=2)]


def _depthwise(
    layer: keras.layers.Layer, call: Call, kernel: Tensor
) -> tuple[Bilinear, Window | None]:
    strides, dilations = tuple(layer.strides), tuple(layer.dilation_rate)
    if layer.rank == 1:  # TensorFlow knows equal strides along both axes alone
        one_row = DepthwiseConvolution(strides * 2, layer.padding, (1, *dilations))
        return OneRow(one_row), None
    convolve = DepthwiseConvolution(strides, layer.padding, dilations)
    return convolve, convolve.window(call.input_shapes[0], kernel.shape)


def transposed_convolution(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of transposes of convolutions, whose outputs are larger than their inputs."""
    kernel = value(layer.kernel)
    *taps, filters, channels = kernel.shape
    by_output = taps_of_one_output(taps, layer.strides, layer.dilation_rate)
    terms = by_output * channels, math.prod(taps) * filters
    op = product(_transposed(layer, call, taps), kernel, bias_of(layer, filters), terms)
    return [Step(op), *activation_steps(layer, call)]


def _transposed(layer: keras.layers.Layer, call: Call, taps: list[int]) -> Bilinear:
    strides, dilations = tuple(layer.strides), tuple(layer.dilation_rate)
    more = layer.output_padding or (None,) * layer.rank
    lengths = [
        transposed_length(size, count, stride, layer.padding, extra, dilation)
        for size, count, stride, extra, dilation in zip(
            call.input_shapes[0][:-1], taps, strides, more, dilations, strict=True
        )
    ]
    padding = layer.padding.upper()
    if layer.rank == 3:
        volumes = VolumeConvolution(strides, padding, dilations)
        return TransposedVolumeConvolution(volumes, tuple(lengths))
    if layer.rank == 1:
        strides, dilations, lengths = (1, *strides), (1, *dilations), [1, *lengths]
    images = TransposedConvolution(Convolution(strides, padding, dilations), tuple(lengths))
    return OneRow(images) if layer.rank == 1 else images
