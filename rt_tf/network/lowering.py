"""Keras layers as operations: the one place where a layer is added.

A lowering is a function `(layer, call) -> list of Step`. It reads the layer's weights each time it
is called, so it must be called inside the computation whose gradients are wanted.
"""

import dataclasses
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.convolution import Convolution
from rt_tf.network.ops import Affine, Positive, Tensor, Window
from rt_tf.network.pooling import average_pooling, global_average_pooling, max_pooling
from rt_tf.network.relaxations import ACTIVATIONS
from rt_tf.network.steps import Call, Statistics, Step, refuse_channels_first

L = keras.layers
COMPUTES = ("__call__", "call", "convolution_op", "_moments")  # the methods that decide a value


EVERYWHERE = Window(tf.multiply)
Lowering = Callable[[keras.layers.Layer, Call], list[Step]]


def lower(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """Returns the operations of one call of a layer; UserError names a layer without a lowering."""
    for ancestor in type(layer).__mro__:
        if ancestor in LOWERINGS:
            _refuse_changed(layer, ancestor)
            return LOWERINGS[ancestor](layer, call)
    raise UserError(
        f"layer '{layer.name}': {type(layer).__name__} has no lowering, so no bounds; expected one "
        f"of {', '.join(sorted(kind.__name__ for kind in LOWERINGS))}"
    )


def _refuse_changed(layer: keras.layers.Layer, ancestor: type) -> None:
    """A subclass that computes something else than its ancestor must not inherit its bounds."""
    changed = any(
        getattr(type(layer), name, None) is not getattr(ancestor, name, None) for name in COMPUTES
    )
    if changed or getattr(layer, "quantization_mode", None):
        raise UserError(
            f"layer '{layer.name}': expected {ancestor.__name__}'s own unquantised computation; "
            f"received {type(layer).__name__}, which changes it, so it has no bounds"
        )


def _dense(layer: keras.layers.Layer, call: Call) -> list[Step]:
    kernel = _value(layer.kernel)
    op = _affine(tf.matmul, kernel, layer, *kernel.shape)
    return [Step(op), *_activation(layer, at=1)]


def _conv2d(layer: keras.layers.Layer, call: Call) -> list[Step]:
    refuse_channels_first(layer)
    kernel = _value(layer.kernel)
    if layer.groups != 1:
        raise UserError(f"layer '{layer.name}': expected groups=1; received groups={layer.groups}")
    convolve = Convolution(layer.strides, layer.padding.upper(), layer.dilation_rate)
    rows, columns, channels, filters = kernel.shape
    op = _affine(convolve, kernel, layer, rows * columns * channels, rows * columns * filters)
    window = convolve.window(call.input_shapes[0], kernel.shape)
    return [Step(dataclasses.replace(op, window=window)), *_activation(layer, at=1)]


def _batch_normalization(layer: keras.layers.Layer, call: Call) -> list[Step]:
    if layer.axis not in (-1, len(call.input_shapes[0])):
        raise UserError(
            f"layer '{layer.name}': expected batch normalisation over the last axis; "
            f"received axis={layer.axis}"
        )
    mean, variance = call.statistics or moving_statistics(layer)
    scale = tf.math.rsqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * _value(layer.gamma)
    beta = _value(layer.beta) if layer.center else tf.zeros_like(mean)
    # The scale takes a few roundings of its own to compute: they count as further terms.
    magnitude = tf.abs(beta) + tf.abs(mean * scale)
    return [Step(Affine(tf.multiply, scale, beta - mean * scale, 8, 8, magnitude, EVERYWHERE))]


def moving_statistics(layer: keras.layers.BatchNormalization) -> Statistics:
    """The statistics that batch normalisation uses at inference."""
    return Statistics(_value(layer.moving_mean), _value(layer.moving_variance))


def _normalization(layer: keras.layers.Layer, call: Call) -> list[Step]:
    if layer.invert:
        raise UserError(f"layer '{layer.name}': expected invert=False; received invert=True")
    rank = len(call.input_shapes[0])
    mean, variance = _unbatched(layer.mean, rank), _unbatched(layer.variance, rank)
    scale = 1.0 / tf.maximum(tf.sqrt(variance), keras.config.epsilon())
    shift = -mean * scale
    return [Step(Affine(tf.multiply, scale, shift, 8, 8, tf.abs(shift), _everywhere(scale, shift)))]


def _rescaling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    rank = len(call.input_shapes[0])
    scale, offset = _unbatched(layer.scale, rank), _unbatched(layer.offset, rank)
    window = _everywhere(scale, offset)
    return [Step(Affine(tf.multiply, scale, offset, 2, 2, tf.abs(offset), window))]


def _everywhere(*constants: Tensor) -> Window | None:
    """The window of a product by channel: there is none where a constant differs by place."""
    alike = all(math.prod(constant.shape[:-1]) == 1 for constant in constants)
    return EVERYWHERE if alike else None


def _flatten(layer: keras.layers.Layer, call: Call) -> list[Step]:
    refuse_channels_first(layer)
    size = math.prod(call.input_shapes[0])
    return [Step(Positive(lambda x: tf.reshape(x, [-1, size])))]


def _reshape(layer: keras.layers.Layer, call: Call) -> list[Step]:
    shape = layer.compute_output_shape((1, *call.input_shapes[0]))[1:]
    return [Step(Positive(lambda x: tf.reshape(x, [-1, *shape])))]


def _zero_padding(layer: keras.layers.Layer, call: Call) -> list[Step]:
    refuse_channels_first(layer)
    (top, bottom), (left, right) = layer.padding
    paddings = [[0, 0], [top, bottom], [left, right], [0, 0]]
    window = Window(lambda x: x, before=(top, left))
    return [Step(Positive(lambda x: tf.pad(x, paddings), window=window))]


def _add(layer: keras.layers.Layer, call: Call) -> list[Step]:
    count = len(call.input_shapes)
    return [Step(Positive(_sum, count, Window(_sum)), tuple(range(count)))]


def _sum(*values: Tensor) -> Tensor:
    return tf.add_n(values)


def _nothing(layer: keras.layers.Layer, call: Call) -> list[Step]:
    return []


def _relu(layer: keras.layers.Layer, call: Call) -> list[Step]:
    if layer.max_value is not None or layer.negative_slope != 0.0 or layer.threshold != 0.0:
        raise UserError(
            f"layer '{layer.name}': expected a plain ReLU; received max_value={layer.max_value}, "
            f"negative_slope={layer.negative_slope}, threshold={layer.threshold}"
        )
    return [Step(ACTIVATIONS["relu"])]


def _activation(layer: keras.layers.Layer, at: int = 0) -> list[Step]:
    """The operation of a layer's `activation=`, reading what the layer has computed so far."""
    name = _activation_name(layer.activation)
    if name == "linear":
        return []
    if name not in ACTIVATIONS:
        raise UserError(
            f"layer '{layer.name}': activation '{name}' has no relaxation, so no bounds; expected "
            f"one of linear, {', '.join(ACTIVATIONS)}"
        )
    return [Step(ACTIVATIONS[name], (at,))]


def _activation_name(activation: object) -> str:
    """The name of a stock activation; another function of that name keeps its module's name."""
    if activation is None:
        return "linear"
    name = getattr(activation, "__name__", type(activation).__name__)
    stock = (getattr(keras.activations, name, None), getattr(tf.nn, name, None))
    own = any(activation is function for function in stock)
    return name if own else f"{getattr(activation, '__module__', 'custom')}.{name}"


def _affine(
    fn: Callable[[Tensor, Tensor], Tensor],
    kernel: Tensor,
    layer: keras.layers.Layer,
    terms: int,
    transposed_terms: int,
) -> Affine:
    bias = _value(layer.bias) if layer.use_bias else tf.zeros([kernel.shape[-1]])
    return Affine(fn, kernel, bias, terms, transposed_terms, tf.abs(bias))


def _value(variable: keras.Variable) -> Tensor:
    """A weight in float32, whatever the layer's policy."""
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def _unbatched(value: object, rank: int) -> Tensor:
    """A constant in float32 that broadcasts against one example, of the given rank."""
    constant = tf.cast(tf.convert_to_tensor(value), tf.float32)
    return tf.squeeze(constant, axis=list(range(max(0, constant.shape.rank - rank))))


LOWERINGS: dict[type, Lowering] = {
    L.Activation: lambda layer, call: _activation(layer),
    L.Add: _add,
    L.AveragePooling2D: average_pooling,
    L.BatchNormalization: _batch_normalization,
    L.Conv2D: _conv2d,
    L.Dense: _dense,
    L.Dropout: _nothing,
    L.Flatten: _flatten,
    L.GlobalAveragePooling2D: global_average_pooling,
    L.MaxPooling2D: max_pooling,
    L.Normalization: _normalization,
    L.ReLU: _relu,
    L.Rescaling: _rescaling,
    L.Reshape: _reshape,
    L.ZeroPadding2D: _zero_padding,
}
