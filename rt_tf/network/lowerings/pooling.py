"""Pooling layers along one, two or three axes, as operations."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rt_tf.network.lowerings.maxima import maxima
from rt_tf.network.maps.convolution import same_padding
from rt_tf.network.maps.positive import WholeMeans, WindowMeans
from rt_tf.network.ops import Positive, Tensor, Window
from rt_tf.network.steps import Call, Step


def average_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of means over windows."""
    pool = WindowMeans(tuple(layer.pool_size), tuple(layer.strides), layer.padding)
    # Without padding the map is the same everywhere: else windows at the rim have fewer values.
    windowed = layer.padding == "valid" and len(layer.pool_size) == 2
    window = Window(pool, layer.pool_size, layer.strides) if windowed else None
    return [Step(Positive(pool, math.prod(layer.pool_size) + 1, window))]


def global_average_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of means over all places."""
    *places, _ = call.input_shapes[0]
    return [Step(Positive(WholeMeans(layer.keepdims), math.prod(places) + 1))]


def max_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of maxima over windows."""
    *lengths, _ = call.input_shapes[0]
    axes = [
        _places(length, window, stride, layer.padding == "same")
        for length, window, stride in zip(lengths, layer.pool_size, layer.strides, strict=True)
    ]
    windows = Positive(_windows(axes), math.prod(axis.uses for axis in axes))
    steps = maxima([Step(windows)], math.prod(layer.pool_size))
    squeeze = Positive(lambda x: tf.squeeze(x, axis=1))
    return [*steps, Step(squeeze, (len(steps),))]


def global_max_pooling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of maxima over all places."""
    *lengths, channels = call.input_shapes[0]
    count = math.prod(lengths)
    shape = [*(1 for _ in lengths), channels] if layer.keepdims else [channels]
    in_a_row = Positive(lambda x: tf.reshape(x, [-1, count, channels]))
    steps = maxima([Step(in_a_row)], count)
    reshape = Positive(lambda x: tf.reshape(x, [-1, *shape]))
    return [*steps, Step(reshape, (len(steps),))]


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


def _windows(axes: Sequence[_Places]) -> Callable[[Tensor], Tensor]:
    """A map that gathers each window's values along a new first axis: [b, places, ..., c]."""

    def windows(x: Tensor) -> Tensor:
        for axis, places in enumerate(axes, start=1):
            x = _extended(x, places, axis)
        taps = itertools.product(*(range(places.window) for places in axes))
        at = [[_every(*pair) for pair in zip(axes, tap, strict=True)] for tap in taps]
        return tf.stack([x[:, *slices] for slices in at], axis=1)

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
