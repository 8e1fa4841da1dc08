"""Layers that move values, repeat them, leave them out or put zeros around them."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import keras
import tensorflow as tf

from rt_tf.network.maps.positive import ZerosAround
from rt_tf.network.ops import Positive, Tensor, Window
from rt_tf.network.steps import Call, Step

Pair: TypeAlias = tuple[int, int]


def flatten(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step from each example to a vector."""
    size = math.prod(call.input_shapes[0])
    return [Step(Positive(lambda x: tf.reshape(x, [-1, size])))]


def reshape(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step from each example to another shape."""
    shape = layer.compute_output_shape((1, *call.input_shapes[0]))[1:]
    return [Step(Positive(lambda x: tf.reshape(x, [-1, *shape])))]


def permute(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of the same values with their axes in another order."""
    axes = [0, *layer.dims]
    return [Step(Positive(lambda x: tf.transpose(x, axes)))]


def repeat_vector(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step from a vector to several times the same, [batch, times, units]."""
    op = Positive(lambda x: tf.repeat(x[:, tf.newaxis], layer.n, axis=1), max(1, layer.n))
    return [Step(op)]


def zero_padding(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of zeros before and after each axis."""
    around = pairs(layer.padding)
    window = _moved([before for before, _ in around])
    return [Step(Positive(ZerosAround(((0, 0), *around, (0, 0))), window=window))]


def cropping(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of what is left without the ends of each axis."""
    lengths, ends = call.input_shapes[0][:-1], pairs(layer.cropping)
    spans = [
        (before, length - after) for length, (before, after) in zip(lengths, ends, strict=True)
    ]
    return [crop(spans)]


def crop(spans: Sequence[Pair]) -> Step:
    """The step of what lies within (first, after the last) of every axis of places."""
    slices = [slice(*span) for span in spans]
    window = _moved([-first for first, _ in spans])
    return Step(Positive(lambda x: x[:, *slices], window=window))


def up_sampling(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of every value several times along each axis of places."""
    size = (layer.size,) if isinstance(layer.size, int) else tuple(layer.size)

    def repeat(x: Tensor) -> Tensor:
        for axis, times in enumerate(size, start=1):
            x = tf.repeat(x, times, axis)
        return x

    return [Step(Positive(repeat, math.prod(size)))]


def pairs(ends: Sequence) -> list[Pair]:
    """A layer's numbers for both ends of each axis; where it has one axis, it has one pair."""
    return [tuple(ends)] if isinstance(ends[0], int) else [tuple(pair) for pair in ends]


def _moved(before: Sequence[int]) -> Window | None:
    """The window of a move of images: one pixel, from so many places before its own."""
    return Window(tf.identity, before=(before[0], before[1])) if len(before) == 2 else None
