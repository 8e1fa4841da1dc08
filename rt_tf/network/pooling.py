"""Pooling layers as operations."""

import math
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rt_tf.network.convolution import same_padding
from rt_tf.network.ops import Affine, Positive, Tensor, Window
from rt_tf.network.relaxations import RELU
from rt_tf.network.steps import Call, Step, refuse_channels_first


def average_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of means over windows."""
    refuse_channels_first(layer)

    def pool(x: Tensor) -> Tensor:
        return tf.nn.avg_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())

    whole = layer.padding == "valid"  # else windows at the rim have means of fewer pixels
    window = Window(pool, layer.pool_size, layer.strides) if whole else None
    return [Step(Positive(pool, math.prod(layer.pool_size) + 1, window))]


def global_average_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of means over whole images."""
    refuse_channels_first(layer)
    height, width, _ = call.input_shapes[0]

    def pool(x: Tensor) -> Tensor:
        return tf.reduce_mean(x, axis=[1, 2], keepdims=layer.keepdims)

    return [Step(Positive(pool, height * width + 1))]


def max_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of maxima over windows."""
    refuse_channels_first(layer)
    height, width, _ = call.input_shapes[0]
    same = layer.padding == "same"
    rows = _places(height, layer.pool_size[0], layer.strides[0], same)
    columns = _places(width, layer.pool_size[1], layer.strides[1], same)

    def pool(x: Tensor) -> Tensor:
        return tf.nn.max_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())

    windows = Positive(_windows(rows, columns), rows.uses * columns.uses)
    steps = maxima([Step(windows)], math.prod(layer.pool_size))
    squeeze = Positive(lambda x: tf.squeeze(x, axis=-1))
    return [*steps, Step(squeeze, (len(steps),), hull=Positive(pool))]


def global_max_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of maxima over whole images: over the columns of each row, then over the rows."""
    refuse_channels_first(layer)
    height, width, channels = call.input_shapes[0]
    shape = [1, 1, channels] if layer.keepdims else [channels]

    def pool(x: Tensor) -> Tensor:
        return tf.reduce_max(x, axis=[1, 2], keepdims=layer.keepdims)

    columns_last = Positive(lambda x: tf.transpose(x, [0, 1, 3, 2]))  # [b, h, c, w]
    rows_last = Positive(lambda x: tf.transpose(x[..., 0], [0, 2, 1]))  # [b, c, h]
    steps = maxima([Step(columns_last)], width)
    steps = maxima([*steps, Step(rows_last, (len(steps),))], height)
    reshape = Positive(lambda x: tf.reshape(x, [-1, *shape]))
    return [*steps, Step(reshape, (len(steps),), hull=Positive(pool))]


def maxima(steps: list[Step], width: int) -> list[Step]:
    """The steps, then max(a, b) = a + relu(b - a) in a tree over the last axis, down to one."""
    while width > 1:
        steps = [*steps, *_halve(width, before=len(steps))]
        width = (width + 1) // 2
    return steps


def _halve(width: int, before: int) -> list[Step]:
    """The steps of maxima of neighbours along the last axis; an odd last value is kept."""
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
        Step(RELU, (before + 1,)),
        Step(Positive(first, 2), (before, before + 2)),
    ]


def _last_axis_product(x: Tensor, kernel: Tensor) -> Tensor:
    return tf.tensordot(x, kernel, axes=1)


class _Places(NamedTuple):
    """The places of pooling windows along an axis whose ends are repeated before and after it.

    A window that reaches past an end has that end inside, so repeating it changes no maximum.
    `uses`: the most places of windows that read one value.
    """

    before: int
    after: int
    windows: int
    window: int
    stride: int
    uses: int


def _places(size: int, window: int, stride: int, same: bool) -> _Places:
    windows = -(-size // stride) if same else (size - window) // stride + 1
    before, after = same_padding(size, window, stride) if same else (0, 0)
    starts = np.arange(windows) * stride - before
    read = np.clip(starts[:, np.newaxis] + np.arange(window), 0, size - 1)
    uses = int(np.bincount(read.ravel()).max())
    return _Places(before, after, windows, window, stride, uses)


def _windows(rows: _Places, columns: _Places) -> Callable[[Tensor], Tensor]:
    """A map that gathers each window's values along a new last axis: [b, h, w, c, places]."""

    def place(x: Tensor, i: int, j: int) -> Tensor:
        return x[:, _every(rows, i), _every(columns, j)]

    def windows(x: Tensor) -> Tensor:
        x = _extended(_extended(x, rows, axis=1), columns, axis=2)
        places = [place(x, i, j) for i in range(rows.window) for j in range(columns.window)]
        return tf.stack(places, axis=-1)

    return windows


def _every(places: _Places, i: int) -> slice:
    """The slice of an axis at place i of every window."""
    return slice(i, i + (places.windows - 1) * places.stride + 1, places.stride)


def _extended(x: Tensor, places: _Places, axis: int) -> Tensor:
    """The values, with both ends of an axis repeated."""
    if places.before == places.after == 0:
        return x
    others = (slice(None),) * axis
    first, last = x[*others, :1], x[*others, -1:]
    return tf.concat([first] * places.before + [x] + [last] * places.after, axis=axis)
