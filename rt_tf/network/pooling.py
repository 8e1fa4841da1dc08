"""Pooling layers as operations."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Affine, Positive, Tensor, Window
from rt_tf.network.relaxations import ACTIVATIONS
from rt_tf.network.steps import Call, Step, refuse_channels_first


def average_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """Means over windows."""
    refuse_channels_first(layer)

    def pool(x: Tensor) -> Tensor:
        return tf.nn.avg_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())

    whole = layer.padding == "valid"  # else windows at the rim have means of fewer pixels
    window = Window(pool, layer.pool_size, layer.strides) if whole else None
    return [Step(Positive(pool, math.prod(layer.pool_size) + 1, window))]


def global_average_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """Means over whole images."""
    refuse_channels_first(layer)
    height, width, _ = call.input_shapes[0]

    def pool(x: Tensor) -> Tensor:
        return tf.reduce_mean(x, axis=[1, 2], keepdims=layer.keepdims)

    return [Step(Positive(pool, height * width + 1))]


def max_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """max(a, b) = a + relu(b - a), in a tree over the places of the pooling window."""
    refuse_channels_first(layer)
    if layer.padding != "valid":
        raise UserError(
            f"layer '{layer.name}': expected padding='valid'; received '{layer.padding}'"
        )

    def pool(x: Tensor) -> Tensor:
        return tf.nn.max_pool2d(x, layer.pool_size, layer.strides, "VALID")

    width = math.prod(layer.pool_size)
    steps = [Step(Positive(_window(layer, call.input_shapes[0]), width))]
    while width > 1:
        steps += _halve(width, before=len(steps))
        width = (width + 1) // 2
    squeeze = Positive(lambda x: tf.squeeze(x, axis=-1))
    return [*steps, Step(squeeze, (len(steps),), hull=Positive(pool))]


def _window(layer: keras.layers.Layer, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """Gathers each pooling window's values along a new last axis: [b, h, w, c, places]."""
    (rows, columns), (down, right) = layer.pool_size, layer.strides
    height = (shape[0] - rows) // down + 1
    width = (shape[1] - columns) // right + 1

    def place(x: Tensor, i: int, j: int) -> Tensor:
        return x[:, i : i + (height - 1) * down + 1 : down, j : j + (width - 1) * right + 1 : right]

    def window(x: Tensor) -> Tensor:
        return tf.stack([place(x, i, j) for i in range(rows) for j in range(columns)], axis=-1)

    return window


def _halve(width: int, before: int) -> list[Step]:
    """Maxima of neighbours along the last axis; an odd last one is kept."""
    pairs = width // 2
    difference = [
        [float((j == 2 * i + 1) - (j == 2 * i)) for i in range(pairs)] for j in range(width)
    ]
    odd = width % 2

    def first(x: Tensor, excess: Tensor) -> Tensor:
        return tf.concat([x[..., 0 : 2 * pairs : 2] + excess, x[..., width - odd :]], axis=-1)

    minus = Affine(
        _last_axis_product, tf.constant(difference), tf.zeros([pairs]), 2, 2, tf.zeros([pairs])
    )
    return [
        Step(minus, (before,)),
        Step(ACTIVATIONS["relu"], (before + 1,)),
        Step(Positive(first, 2), (before, before + 2)),
    ]


def _last_axis_product(x: Tensor, kernel: Tensor) -> Tensor:
    return tf.tensordot(x, kernel, axes=1)
